//! The seccomp filter of every job.
//!
//! It is a list of what is refused, not of what is allowed. A job has no capabilities, so
//! the kernel refuses it everything administrative already; the filter takes away the
//! interfaces that need no capability but widen a process's reach (new namespaces,
//! keyrings, io_uring, userfaultfd, perf, bpf), and stands behind the missing capabilities
//! for the rest. A list of what is allowed would have to grow with every C library, and a
//! job would run in one year's `repro` and fail in another's.

use std::collections::BTreeMap;
use std::io;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch, sock_filter,
};

use crate::engine::Failure;

/// Refused with `EPERM`, whatever the arguments.
const REFUSED: &[i64] = &[
    // Mounts and roots.
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_open_tree,
    libc::SYS_move_mount,
    libc::SYS_mount_setattr,
    libc::SYS_quotactl,
    // Namespaces; `clone` is judged by its flags.
    libc::SYS_unshare,
    libc::SYS_setns,
    // Keys belong to the machine: the kernel has no namespace for them.
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_keyctl,
    // Programs inside the kernel, its counters and its memory.
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_kcmp,
    libc::SYS_syslog,
    libc::SYS_acct,
    // Files by handle reach past every root.
    libc::SYS_open_by_handle_at,
    libc::SYS_name_to_handle_at,
    libc::SYS_fanotify_init,
    // The machine itself.
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_kexec_load,
    libc::SYS_kexec_file_load,
    libc::SYS_reboot,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_clock_adjtime,
    libc::SYS_adjtimex,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    libc::SYS_vhangup,
    libc::SYS_nfsservctl,
    libc::SYS_lookup_dcookie,
    // Ports and old calls that only this processor has.
    #[cfg(target_arch = "x86_64")]
    libc::SYS_iopl,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_ioperm,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_modify_ldt,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_uselib,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_ustat,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_sysfs,
    #[cfg(target_arch = "x86_64")]
    libc::SYS__sysctl,
];

/// Every kind of namespace that `clone` can make (clone(2)).
const NEW_NAMESPACES: i32 = libc::CLONE_NEWNS
    | libc::CLONE_NEWCGROUP
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUSER
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWNET;

/// First number of the second set of calls that x86-64 has, with 32-bit pointers.
#[cfg(target_arch = "x86_64")]
const X32_BIT: u32 = 0x4000_0000;

/// The programs to install, one after the other.
pub(in crate::engine) fn programs() -> Result<Vec<BpfProgram>, Failure> {
    let failed = |error: &dyn std::fmt::Display| Failure::step("make the seccomp filter", error);
    let mut programs = Vec::new();
    for (rules, errno) in [
        (refused().map_err(|error| failed(&error))?, libc::EPERM),
        // Its flags are in memory, where no filter can look; without it the C library uses `clone`.
        (BTreeMap::from([(libc::SYS_clone3, Vec::new())]), libc::ENOSYS),
    ] {
        let program = compile(rules, errno).map_err(|error| failed(&error))?;
        programs.push(program);
    }
    Ok(programs)
}

/// Installs one program for this process and all that it starts.
///
/// `SPEC_ALLOW`: before Linux 5.16 every process with a filter paid for protection against
/// leaks between programs inside one process, which no job needs; other engines do the same.
pub(super) fn install(program: &BpfProgram) -> io::Result<()> {
    rustix::thread::set_no_new_privs(true)?;
    let length = u16::try_from(program.len()).map_err(io::Error::other)?;
    let filter = libc::sock_fprog { len: length, filter: program.as_ptr().cast_mut().cast() };
    // SAFETY: the kernel copies `len` instructions, which are laid out as in its own header.
    let result = unsafe {
        libc::syscall(
            libc::SYS_seccomp,
            libc::SECCOMP_SET_MODE_FILTER,
            libc::SECCOMP_FILTER_FLAG_SPEC_ALLOW,
            &filter,
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

fn refused() -> Result<BTreeMap<i64, Vec<SeccompRule>>, seccompiler::BackendError> {
    let equal = |argument, value: i32| {
        let value = u64::from(value.cast_unsigned());
        SeccompCondition::new(argument, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, value)
    };
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> =
        REFUSED.iter().map(|call| (*call, Vec::new())).collect();
    let mut namespaces = Vec::new();
    for bit in (0..32).map(|shift| 1u64 << shift) {
        if bit & u64::from(NEW_NAMESPACES.cast_unsigned()) != 0 {
            let set = SeccompCmpOp::MaskedEq(bit);
            let condition = SeccompCondition::new(0, SeccompCmpArgLen::Qword, set, bit)?;
            namespaces.push(SeccompRule::new(vec![condition])?);
        }
    }
    rules.insert(libc::SYS_clone, namespaces);
    // Sockets that reach the machine around the network namespace, or its cryptography.
    let families = [libc::AF_VSOCK, libc::AF_ALG];
    let families = families.map(|family| SeccompRule::new(vec![equal(0, family)?]));
    rules.insert(libc::SYS_socket, families.into_iter().collect::<Result<_, _>>()?);
    // Typing into a terminal of another process.
    let typing = SeccompRule::new(vec![equal(1, libc::TIOCSTI as i32)?])?;
    rules.insert(libc::SYS_ioctl, vec![typing]);
    Ok(rules)
}

fn compile(
    rules: BTreeMap<i64, Vec<SeccompRule>>,
    errno: i32,
) -> Result<BpfProgram, seccompiler::BackendError> {
    let arch = TargetArch::try_from(std::env::consts::ARCH)?;
    let refuse = SeccompAction::Errno(errno.cast_unsigned());
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, refuse, arch)?;
    let mut program = without_second_set();
    program.extend(BpfProgram::try_from(filter)?);
    Ok(program)
}

/// Refuses the second set of calls, whose numbers the rules do not know.
#[cfg(target_arch = "x86_64")]
fn without_second_set() -> BpfProgram {
    let statement = |code: u32, jt, jf, k| sock_filter { code: code as u16, jt, jf, k };
    vec![
        // The number of the call is the first field (seccomp(2), `seccomp_data`).
        statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, 0),
        statement(libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K, 0, 1, X32_BIT),
        statement(
            libc::BPF_RET | libc::BPF_K,
            0,
            0,
            libc::SECCOMP_RET_ERRNO | libc::ENOSYS.cast_unsigned(),
        ),
    ]
}

#[cfg(not(target_arch = "x86_64"))]
fn without_second_set() -> BpfProgram {
    Vec::<sock_filter>::new()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_programs_fit_the_kernel() {
        let programs = programs().unwrap();
        assert_eq!(programs.len(), 2);
        // BPF_MAXINSNS, the kernel's limit for one program.
        assert!(programs.iter().all(|program| !program.is_empty() && program.len() <= 4096));
    }

    #[test]
    fn no_call_is_named_twice() {
        let mut calls = REFUSED.to_vec();
        calls.sort_unstable();
        calls.dedup();
        assert_eq!(calls.len(), REFUSED.len());
    }
}
