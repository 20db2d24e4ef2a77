use super::*;

fn known() -> Known {
    Known {
        hosts: vec!["gpu-node07".to_owned()],
        users: vec!["zhangsan".to_owned(), "root".to_owned(), "train".to_owned()],
        folders: vec![
            ("/ssd3/zhangsan/bench".to_owned(), "project".to_owned()),
            ("/ssd3/zhangsan/bench/results".to_owned(), "results".to_owned()),
        ],
        job_folders: Vec::new(),
    }
}

fn scrub(text: &str) -> String {
    Scrubber::new(&known()).scrub_text(text).0
}

#[track_caller]
fn stays(text: &str) {
    assert_eq!(scrub(text), text);
}

#[test]
fn addresses_become_words_that_are_the_same_for_the_same_address() {
    let text = "listen 10.9.1.22:29500, peer 172.16.0.3/24 via 10.9.1.22. http://192.168.1.7/x";
    let expected =
        "listen <address-1>:29500, peer <address-2>/24 via <address-1>. http://<address-3>/x";
    assert_eq!(scrub(text), expected);
    assert_eq!(
        scrub("--ip=10.1.2.3 MASTER_ADDR=10.1.2.3"),
        "--ip=<address-1> MASTER_ADDR=<address-1>"
    );
    assert_eq!(scrub("spark.driver.host=10.1.2.3"), "spark.driver.host=<address-1>");
}

#[test]
fn version_numbers_are_no_addresses() {
    for text in [
        "cuda 10.2.1.3",
        "CUDA: 10.2.1.3",
        "\"cudnn_version\": \"8.0.5.39\"",
        "libcudnn.so.8.0.5.39",
        "torch==1.9.1.0, opencv-python>=4.5.5.64",
        "opencv-python-headless 4.5.5.64-1",
        "v1.2.3.4",
        "nvidia-cublas-cu11-11.10.3.66",
        "NCCL version 2.7.8.1",
        "Driver Version: 460.27.04",
        "1.2.3.4.5",
        "1.2.3.4rc1",
        "backbone.stage3.1.branches.2.0.0.1.weight",
        "stage2.0.1.0.bn",
        "127.0.0.1:29500 0.0.0.0 255.255.255.0",
        "999.1.2.3 10.02.1.3",
    ] {
        stays(text);
    }
}

#[test]
fn addresses_of_version_6_are_told_from_times_and_names() {
    let text = "fe80::1ff:fe23:4567:890a%eth0, [2001:db8::7]:80, fd12:3456:789a:1::1";
    assert_eq!(scrub(text), "<address-1>%eth0, [<address-2>]:80, <address-3>");
    for text in ["12:34:56", "c10::add", "std::cafe::beef", "::", "a::b", "::1", "0000:3b:00.0"] {
        stays(text);
    }
}

#[test]
fn hardware_addresses_and_identifiers_are_found() {
    let text = "ether 02:42:ac:11:00:02 GPU-5f3c2a10-1b2c-4d5e-8f90-123456789abc (UUID: GPU-5F3C2A10-1B2C-4D5E-8F90-123456789ABC)";
    let expected = "ether <hardware-address-1> <identifier-1> (UUID: <identifier-1>)";
    assert_eq!(scrub(text), expected);
    let seal = "sha256:9d1710effc1d6b13d74711d2cd4132dfb51224d731b84d8dc1c7311d55e84193";
    stays(seal);
    stays("00:00:00:00:00:00 2026-11-22 10:11:12");
}

#[test]
fn people_are_taken_out() {
    let text = "mail to li.si@example.com.cn; /home/lisi/x and /Users/lisi; zhangsan@gpu-node07:~$";
    let expected = "mail to <email-1>; /home/<user-1>/x and /Users/<user-1>; <user-2>@<host-1>:~$";
    assert_eq!(scrub(text), expected);
    assert_eq!(scrub("host: root@3a06972d1ad1, work_dir"), "host: root@<host-1>, work_dir");
    // A name that is a word of every log, or no name at all.
    for text in [
        "root@repro, work_dir: /home",
        "train: [1][10/889]",
        "root",
        "git@github.com:owner/name",
        "P@1 0.5",
        "mAP@0.5",
    ] {
        stays(text);
    }
}

#[test]
fn folders_of_the_machine_get_the_names_that_a_reader_knows() {
    let text = "read /ssd3/zhangsan/bench/results/run/log and /ssd3/zhangsan/bench2 and /ssd3/zhangsan/bench";
    assert_eq!(scrub(text), "read <results>/run/log and <path-1> and <project>");
}

#[test]
fn folders_of_the_job_are_the_images_and_stay() {
    let job_folders = vec!["/home/mmsegmentation".to_owned(), "/data1/coco".to_owned()];
    let mut scrubber = Scrubber::new(&Known { job_folders, ..known() });
    let text = "/home/mmsegmentation/work_dirs /home/mmsegmentation2/x /data1/coco/a /data1/other";
    let expected = "/home/mmsegmentation/work_dirs /home/<user-1>/x /data1/coco/a <path-1>";
    assert_eq!(scrubber.scrub_text(text).0, expected);
}

#[test]
fn tokens_are_found_and_counts_are_not() {
    let text = "Authorization: Bearer abc123def456 https://bob:s3cr3t@host.test/x HF hf_abcdefghijklmnopqrstuvwxyz0123456789";
    let expected = "Authorization: Bearer <token-2> https://bob:<token-3>@host.test/x HF <token-1>";
    assert_eq!(scrub(text), expected);
    assert_eq!(scrub("API_KEY='a1b2c3d4e5'"), "API_KEY='<token-1>'");
    for text in ["tokens: 12345678", "pad_token_id=12345678", "password: optional", "token: <s>"] {
        stays(text);
    }
}

#[test]
fn what_was_found_is_counted_and_bytes_that_are_no_text_stay() {
    let mut scrubber = Scrubber::new(&Known::default());
    let (scrubbed, counts) = scrubber.scrub(b"\xff\x00 10.0.0.9 \xfe 10.0.0.9 a@b.org");
    assert_eq!(scrubbed, b"\xff\x00 <address-1> \xfe <address-1> <email-1>");
    assert_eq!(in_words(&counts), "1 email, 2 address");
    assert_eq!(scrubber.scrub(b"10.0.0.9").0, b"<address-1>");
    assert_eq!(scrubber.scrub(b"loss: 1.5"), (b"loss: 1.5".to_vec(), Counts::new()));
}
