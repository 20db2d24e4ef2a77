//! What GPU code a wheel holds, read from made-up libraries, good and hostile ones.

use std::fs;

use repro::doctor::{Capability, Library, Support, Version, WheelCode, list};
use repro::engine::Stop;
use repro::store::Store;

use super::archives::{ZipItem, wheel};
use super::layers::store;

/// An entry of a container: kind (1 PTX, 2 machine code), architecture, bytes of payload, which begins as if it
/// had a kernel.
pub type Entry = (u16, u32, usize);

const MAGIC: u32 = 0xBA55_ED50;

/// How payloads are compressed.
const LZ4: u64 = 0x2000;
const ZSTD: u64 = 0x8000;

/// A container as `fatbinary` writes it.
pub fn container(entries: &[Entry]) -> Vec<u8> {
    let body: Vec<u8> = entries.iter().flat_map(|it| entry(*it)).collect();
    [header(body.len() as u64), body].concat()
}

fn header(size: u64) -> Vec<u8> {
    let (version, header_size) = (1u16, 16u16);
    [
        &MAGIC.to_le_bytes()[..],
        &version.to_le_bytes(),
        &header_size.to_le_bytes(),
        &size.to_le_bytes(),
    ]
    .concat()
}

fn entry((kind, architecture, payload): Entry) -> Vec<u8> {
    let mark: &[u8] = if kind == 1 { b".entry" } else { b".text.k" };
    let payload: Vec<u8> =
        mark.iter().copied().chain(std::iter::repeat(0xA5)).take(payload).collect();
    entry_of(kind, architecture, 0x11, &payload)
}

/// An entry whose payload is this, compressed as its flags say.
fn entry_of(kind: u16, architecture: u32, flags: u64, payload: &[u8]) -> Vec<u8> {
    let mut stored = match flags & (LZ4 | ZSTD) {
        0 => payload.to_vec(),
        LZ4 => lz4_flex::block::compress(payload),
        _ => zstd::bulk::compress(payload, 3).unwrap(),
    };
    let compressed = stored.len() as u32;
    stored.resize(stored.len().next_multiple_of(8), 0);
    let mut bytes = vec![0; 64];
    bytes[0..2].copy_from_slice(&kind.to_le_bytes());
    bytes[4..8].copy_from_slice(&64u32.to_le_bytes());
    bytes[28..32].copy_from_slice(&architecture.to_le_bytes());
    bytes[40..48].copy_from_slice(&flags.to_le_bytes());
    if flags & (LZ4 | ZSTD) == 0 {
        stored.truncate(payload.len());
    } else {
        bytes[16..20].copy_from_slice(&compressed.to_le_bytes());
        bytes[56..64].copy_from_slice(&(payload.len() as u64).to_le_bytes());
    }
    bytes[8..16].copy_from_slice(&(stored.len() as u64).to_le_bytes());
    bytes.extend(stored);
    bytes
}

/// Machine code for these architectures, 800 bytes each.
fn machine_code(numbers: &[u32]) -> Vec<u8> {
    container(&numbers.iter().map(|number| (2, *number, 800)).collect::<Vec<_>>())
}

/// What a section of a library is called, its type and its content.
struct Section<'a>(&'a str, u32, Vec<u8>);

/// A shared library with `code` in its fat binary, linked to `needed`.
pub fn library(code: &[u8], needed: &[&str]) -> Vec<u8> {
    let (mut names, mut dynamic) = (vec![0], Vec::new());
    for name in needed {
        dynamic.extend([1u64.to_le_bytes(), (names.len() as u64).to_le_bytes()].concat());
        names.extend([name.as_bytes(), b"\0"].concat());
    }
    dynamic.extend([0; 16]);
    elf(&[
        Section(".nv_fatbin", 1, code.to_vec()),
        Section(".dynstr", 3, names),
        Section(".dynamic", 6, dynamic),
    ])
}

/// A 64-bit ELF file; its `.dynamic` is linked to the second of `sections`.
fn elf(sections: &[Section]) -> Vec<u8> {
    let (mut strings, mut headers, mut body) = (vec![0u8], vec![0u8; 64], vec![0u8; 64]);
    let mut add = |name: &str, kind: u32, content: &[u8], strings: &mut Vec<u8>| {
        body.resize(body.len().next_multiple_of(16), 0);
        let mut header = vec![0; 64];
        header[0..4].copy_from_slice(&(strings.len() as u32).to_le_bytes());
        header[4..8].copy_from_slice(&kind.to_le_bytes());
        header[24..32].copy_from_slice(&(body.len() as u64).to_le_bytes());
        strings.extend([name.as_bytes(), b"\0"].concat());
        let content =
            if kind == 3 && name == ".shstrtab" { strings.clone() } else { content.to_vec() };
        header[32..40].copy_from_slice(&(content.len() as u64).to_le_bytes());
        header[40..44].copy_from_slice(&2u32.to_le_bytes());
        headers.extend(header);
        body.extend(content);
    };
    for Section(name, kind, content) in sections {
        add(name, *kind, content, &mut strings);
    }
    add(".shstrtab", 3, &[], &mut strings);
    body.resize(body.len().next_multiple_of(16), 0);
    let place = body.len() as u64;
    body[0..7].copy_from_slice(b"\x7fELF\x02\x01\x01");
    body[16] = 3;
    body[18] = 62;
    body[20] = 1;
    body[40..48].copy_from_slice(&place.to_le_bytes());
    body[52] = 64;
    body[58] = 64;
    body[60] = sections.len() as u8 + 2;
    body[62] = sections.len() as u8 + 1;
    [body, headers].concat()
}

/// What is found in a wheel with one library.
fn found(store: &Store, library: &[u8]) -> WheelCode {
    let bytes = wheel("net", vec![ZipItem::new("net/lib.so.1", library)]);
    WheelCode::read(store, &store.put(&bytes).unwrap(), "net-1.0.whl", &Stop::new()).unwrap()
}

fn only(code: &WheelCode) -> &Library {
    match code.libraries.as_slice() {
        [library] => library,
        other => panic!("not one library: {other:?}"),
    }
}

/// Why the library with this fat binary cannot be read.
fn problem(code: &[u8]) -> String {
    let (_folder, store) = store();
    let found = found(&store, &library(code, &[]));
    assert!(only(&found).parts.is_empty(), "nothing of it is taken for true");
    only(&found).problem.clone().expect("it has a problem")
}

#[test]
fn every_container_is_read_whatever_lies_between_them() {
    let (_folder, store) = store();
    let code = [
        machine_code(&[37, 70]),
        machine_code(&[70, 37]),
        vec![0; 24],
        container(&[(2, 75, 8), (1, 50, 16), (8, 90, 0)]),
        container(&[]),
    ];
    let bytes = library(&code.concat(), &["libcudart-80664282.so.10.2", "libc.so.6"]);
    let found = found(&store, &bytes);
    let library = only(&found);
    assert_eq!((library.path.as_str(), &library.problem), ("net/lib.so.1", &None));
    assert_eq!(list(&library.code()), "sm_37 sm_70 sm_75 compute_50 kind_8_sm_90");
    let parts: Vec<_> =
        library.parts.iter().map(|part| (list(&part.code), part.containers, part.bytes)).collect();
    let expected = [
        ("none".to_owned(), 1, 0),
        ("sm_37 sm_70".to_owned(), 2, 2 * 2 * 864),
        ("sm_75 compute_50 kind_8_sm_90".to_owned(), 1, 3 * 64 + 24),
    ];
    assert_eq!(parts, expected);
    assert_eq!(found.runtimes.iter().collect::<Vec<_>>(), [&Version { major: 10, minor: 2 }]);
}

/// Machine code without a kernel, as linking on the GPU's side leaves it: an object with a table of symbols.
const STUB: &[u8] = b"\x7fELF\x02\x01\x01\x33.shstrtab\0.strtab\0.symtab\0.nv.info\0";

#[test]
fn what_holds_no_kernel_is_no_evidence_however_it_is_packed() {
    let (_folder, store) = store();
    let body: Vec<u8> = [0x11, 0x11 | LZ4, 0x11 | ZSTD]
        .into_iter()
        .zip([52, 70, 90])
        .flat_map(|(flags, number)| entry_of(2, number, flags, STUB))
        .chain(entry_of(1, 90, 0x11 | ZSTD, b".version 8.4\n.target sm_90\n.address_size 64\n"))
        .collect();
    let found = found(&store, &library(&[header(body.len() as u64), body].concat(), &[]));
    let library = only(&found);
    assert!(!library.is_evidence(), "{library:?}");
    assert_eq!(list(&library.parts[0].code), "none");
    assert_eq!(list(&library.parts[0].empty), "sm_52 sm_70 sm_90 compute_90");
    assert_eq!(library.bytes(), 0);
}

#[test]
fn a_kernel_is_found_however_it_is_packed_and_small_or_large() {
    let (_folder, store) = store();
    let kernel = [STUB, b".text.kernel\0.nv.constant0.kernel\0", &[7; 500]].concat();
    let large = vec![0; 9000];
    let ptx = b".version 8.4\n.target sm_90\n.visible .entry kernel()\n{ ret; }\n";
    let body = [
        entry_of(2, 70, 0x11, &kernel),
        entry_of(2, 75, 0x11 | LZ4, &kernel),
        entry_of(2, 80, 0x11 | ZSTD, &kernel),
        entry_of(2, 86, 0x11 | ZSTD, &large),
        entry_of(1, 90, 0x11 | LZ4, ptx),
    ]
    .concat();
    let found = found(&store, &library(&[header(body.len() as u64), body].concat(), &[]));
    assert_eq!(list(&only(&found).code()), "sm_70 sm_75 sm_80 sm_86 compute_90");
    assert!(only(&found).is_evidence());
    // What cannot be unpacked may be anything.
    let mut broken = entry_of(2, 70, 0x11 | ZSTD, &kernel);
    broken[64..72].fill(0xFF);
    let found = self::found(&store, &library(&[header(broken.len() as u64), broken].concat(), &[]));
    assert!(only(&found).is_evidence());
}

#[test]
fn code_for_one_card_or_one_family_is_told_by_the_flags() {
    let (_folder, store) = store();
    let kernel = [STUB, b".text.kernel\0"].concat();
    let body = [
        entry_of(2, 90, 0x10_0011 | LZ4, &kernel),
        entry_of(2, 100, 0x120_0011 | ZSTD, &kernel),
        entry_of(2, 120, 0x100_0011, &kernel),
        entry_of(1, 100, 0x110_0011, b".entry k"),
    ]
    .concat();
    let found = found(&store, &library(&[header(body.len() as u64), body].concat(), &[]));
    let library = only(&found);
    assert_eq!(list(&library.code()), "sm_90a sm_100f sm_120 compute_100a");
    let on = |number| library.support(Capability::of_number(number));
    assert_eq!((on(90), on(103), on(121)), (Support::Direct, Support::Direct, Support::Direct));
    assert_eq!((on(80), on(110)), (Support::None, Support::None));
}

#[test]
fn a_wheel_is_looked_into_once() {
    let (_folder, store) = store();
    let bytes = wheel("net", vec![ZipItem::new("net/lib.so", &library(&machine_code(&[70]), &[]))]);
    let digest = store.put(&bytes).unwrap();
    assert_eq!(WheelCode::known(&store, &digest).unwrap(), None);
    let first = WheelCode::read(&store, &digest, "net-1.0.whl", &Stop::new()).unwrap();
    fs::remove_file(store.blob_path(&digest)).unwrap();
    let second = WheelCode::read(&store, &digest, "net-1.0.whl", &Stop::new()).unwrap();
    assert_eq!(first, second);
    assert_eq!(list(&second.code()), "sm_70");
}

#[test]
fn what_is_no_library_or_has_no_gpu_code_is_left_out() {
    let (_folder, store) = store();
    let items = vec![
        ZipItem::new("net/text.so", b"INPUT(libnet.so.1)\n"),
        ZipItem::new("net/short.so", b"\x7fELF"),
        ZipItem::new("net/narrow.so", b"\x7fELF\x01\x01\x01"),
        ZipItem::new("net/plain.so", &elf(&[Section(".text", 1, vec![0x90; 64])])),
        ZipItem::new("net/kernel.cubin", &library(&machine_code(&[70]), &[])),
    ];
    let digest = store.put(&wheel("net", items)).unwrap();
    let found = WheelCode::read(&store, &digest, "net-1.0.whl", &Stop::new()).unwrap();
    assert_eq!(found, WheelCode::default());
}

#[test]
fn a_stop_is_heard_between_two_libraries_and_nothing_is_remembered() {
    let (_folder, store) = store();
    let items = vec![ZipItem::new("net/lib.so", &library(&machine_code(&[70]), &[]))];
    let digest = store.put(&wheel("net", items)).unwrap();
    let stop = Stop::new();
    stop.request();
    assert!(WheelCode::read(&store, &digest, "net-1.0.whl", &stop).is_err());
    assert_eq!(WheelCode::known(&store, &digest).unwrap(), None);
}

#[test]
fn cut_off_and_overlapping_containers_are_refused() {
    let whole = machine_code(&[37, 70]);
    assert!(problem(&whole[..whole.len() - 8]).contains("is cut off"));
    assert!(problem(&whole[..24]).contains("is cut off"));
    assert!(problem(&whole[..12]).contains("cut off"));
    // The first entry claims bytes of what comes after its container.
    let mut overlapping = [machine_code(&[70]), machine_code(&[70])].concat();
    overlapping[24..32].copy_from_slice(&1000u64.to_le_bytes());
    assert!(
        problem(&overlapping).contains("an entry of its fat binary"),
        "{}",
        problem(&overlapping)
    );
    assert!(problem(b"other bytes that are none").contains("unknown header"));
}

#[test]
fn sizes_that_no_file_has_are_refused() {
    let mut endless = machine_code(&[70]);
    endless[8..16].copy_from_slice(&u64::MAX.to_le_bytes());
    assert!(problem(&endless).contains("is cut off"));
    let mut huge_entry = machine_code(&[70]);
    huge_entry[24..32].copy_from_slice(&u64::MAX.to_le_bytes());
    assert!(problem(&huge_entry).contains("is cut off"));
    let mut no_header = machine_code(&[70]);
    no_header[20..24].copy_from_slice(&0u32.to_le_bytes());
    assert!(problem(&no_header).contains("no whole header"));
}

#[test]
fn what_is_kept_of_a_library_is_bounded_whatever_it_holds() {
    let many: Vec<Entry> = (0..300).map(|number| (2, number, 0)).collect();
    assert!(problem(&container(&many)).contains("more than 256 codes"));
    let different: Vec<u8> = (0..5000u32).flat_map(|number| container(&[(2, number, 0)])).collect();
    assert!(problem(&different).contains("more than 4096 different containers"));
}

#[test]
fn tables_of_a_library_that_lie_are_refused() {
    let (_folder, store) = store();
    let good = library(&machine_code(&[70]), &[]);
    let lies: [(usize, &[u8]); 4] = [
        // Where the table of sections is, how large a row is, how many there are, which one has the names.
        (40, &u64::MAX.to_le_bytes()),
        (58, &[7, 0]),
        (60, &[0xFF, 0xFF]),
        (62, &[0xFF, 0]),
    ];
    for (place, lie) in lies {
        let mut bytes = good.clone();
        bytes[place..place + lie.len()].copy_from_slice(lie);
        let found = found(&store, &bytes);
        let problem = only(&found).problem.as_deref().unwrap_or_default();
        assert!(problem.starts_with("its ELF tables are damaged"), "{place}: {problem:?}");
    }
    // A fat binary that reaches beyond the end of the file.
    let mut bytes = good.clone();
    let table = good.len() - 64 * 5;
    bytes[table + 64 + 32..table + 64 + 40].copy_from_slice(&(1u64 << 40).to_le_bytes());
    assert!(only(&found(&store, &bytes)).problem.is_some());
}

#[test]
#[ignore = "needs the real wheel of torch 1.9.1 in REPRO_TORCH_WHEEL; .ci/doctor runs it"]
fn the_wheel_of_torch_runs_on_volta_and_turing_and_on_nothing_newer() {
    #[expect(
        clippy::disallowed_methods,
        reason = "a test that is ignored has its input from outside"
    )]
    let path = std::env::var_os("REPRO_TORCH_WHEEL").expect("REPRO_TORCH_WHEEL names the wheel");
    let (_folder, store) = store();
    let mut writer = store.writer().unwrap();
    writer.write(&fs::read(path).unwrap()).unwrap();
    let (digest, _) = writer.finish().unwrap();
    let code = WheelCode::read(&store, &digest, "torch-1.9.1.whl", &Stop::new()).unwrap();
    assert_eq!(list(&code.code()), "sm_35 sm_37 sm_50 sm_60 sm_61 sm_70 sm_75");
    let paths: Vec<&str> = code.libraries.iter().map(|it| it.path.as_str()).collect();
    let expected = ["torch/lib/libtorch_cuda.so", "torch/lib/libcaffe2_detectron_ops_gpu.so"];
    assert_eq!(paths, expected);
    let on = |number| code.libraries[0].support(Capability::of_number(number));
    for number in [37, 50, 52, 60, 61, 70, 75] {
        assert_eq!(on(number), Support::Direct, "sm_{number}");
    }
    assert_eq!(on(35), Support::Partly, "torch's own kernels are not for it");
    for number in [80, 86, 89, 90, 100, 120] {
        assert_eq!(on(number), Support::None, "sm_{number}");
    }
}
