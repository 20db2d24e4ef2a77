//! What the real wheels of torch hold, as data, and which cards can run them.
//!
//! The files below `fixtures/gpu_code` are what the wheels of the index hold in `.nv_fatbin`, of torch and of
//! what it requires, library by library: read from the wheels themselves by a program that is none of ours, with what
//! NVIDIA's `cuobjdump` lists. `.ci/doctor` compares the reader with `cuobjdump` on whole wheels.

use repro::doctor::{
    Capability, ImageCode, ImageWheel, KnownCard, Support, WheelCode, is_new_enough, of_model,
};
use repro::engine::Card;
use serde_json::Value;

/// The cards that people have, as drivers name them.
const CARDS: [&str; 7] = [
    "Tesla V100-SXM2-32GB",
    "Tesla T4",
    "NVIDIA A100-SXM4-80GB",
    "NVIDIA L40S",
    "NVIDIA H100 80GB HBM3",
    "NVIDIA H200",
    "NVIDIA B200",
];

/// The image of these wheels.
fn image(facts: &str) -> ImageCode {
    let wheels: Vec<Value> = serde_json::from_str(facts).unwrap();
    let wheel = |mut wheel: Value| ImageWheel {
        wheel: wheel["wheel"].as_str().unwrap().to_owned(),
        code: Some(serde_json::from_value::<WheelCode>(wheel.take()).unwrap()),
    };
    ImageCode { wheels: wheels.into_iter().map(wheel).collect(), base: None }
}

fn all() -> [(&'static str, ImageCode); 6] {
    [
        ("1.7.1", image(include_str!("fixtures/gpu_code/torch-1.7.1.json"))),
        ("1.9.1", image(include_str!("fixtures/gpu_code/torch-1.9.1.json"))),
        ("2.1.0", image(include_str!("fixtures/gpu_code/torch-2.1.0.json"))),
        ("2.5.1", image(include_str!("fixtures/gpu_code/torch-2.5.1.json"))),
        ("2.8.0", image(include_str!("fixtures/gpu_code/torch-2.8.0.json"))),
        ("2.15.0", image(include_str!("fixtures/gpu_code/torch-2.15.0.json"))),
    ]
}

fn capability(name: &str) -> Capability {
    of_model(name).unwrap()
}

/// `no` where the image is refused, `warn` where a library of the vendor lacks code, else `ok`.
fn verdict(image: &ImageCode, name: &str) -> &'static str {
    let capability = capability(name);
    let card = Card { index: 0, minor: 0, uuid: None, name: name.to_owned() };
    let unfit = image.unfit(&KnownCard { card, capability: Some(capability) });
    match (unfit.is_empty(), image.vendors_lacks(capability).is_empty()) {
        (false, _) => "no",
        (true, false) => "warn",
        (true, true) => "ok",
    }
}

#[test]
fn each_torch_runs_on_the_cards_that_it_was_made_for() {
    let table: String = all()
        .iter()
        .map(|(version, image)| {
            let verdicts = CARDS.map(|card| format!(" {:>4}", verdict(image, card)));
            format!("{version:<6}{}\n", verdicts.concat())
        })
        .collect();
    // From V100 and T4 over A100, L40S, H100 and H200 to B200.
    insta::assert_snapshot!(table, @r"
    1.7.1    ok   ok   no   no   no   no   no
    1.9.1    ok   ok   no   no   no   no   no
    2.1.0    ok   ok   ok   ok   ok   ok   no
    2.5.1  warn warn   ok   ok   ok   ok   no
    2.8.0  warn warn   ok   ok   ok   ok   ok
    2.15.0   no warn   ok   ok   ok   ok   ok
    ");
}

#[test]
fn only_torch_itself_decides_and_its_own_libraries_have_machine_code() {
    for (version, image) in all() {
        for card in CARDS.map(capability) {
            let lacks = image.lacks(card);
            assert!(lacks.iter().all(|lack| lack.starts_with("torch ")), "{version}: {lacks:?}");
            let torch = image.wheels[0].code.as_ref().unwrap();
            let cuda = torch.libraries.iter().find(|it| it.path.ends_with("/libtorch_cuda.so"));
            let support = cuda.unwrap().support(card);
            let expected = if lacks.is_empty() {
                [Support::Direct; 2]
            } else {
                [Support::None, Support::Partly]
            };
            assert!(expected.contains(&support), "{version} on {card}: {support:?}");
        }
    }
}

#[test]
fn the_stubs_of_cufft_are_no_evidence() {
    for (version, image) in all().into_iter().skip(3) {
        let wheels = image.wheels.iter().filter(|it| it.wheel.starts_with("nvidia-cufft"));
        let code = wheels.map(|it| it.code.as_ref().unwrap()).next().unwrap();
        assert!(!code.libraries.is_empty(), "{version}");
        assert!(code.libraries.iter().all(|it| !it.is_evidence()), "{version}");
    }
}

#[test]
fn the_driver_of_each_torch_is_the_first_of_its_cuda_s_major_version() {
    let drivers = all().map(|(version, image)| {
        (version, image.runtime().and_then(|runtime| runtime.oldest_driver()).unwrap())
    });
    let expected = [
        ("1.7.1", "440.33"),
        ("1.9.1", "440.33"),
        ("2.1.0", "525.60.13"),
        ("2.5.1", "525.60.13"),
        ("2.8.0", "525.60.13"),
        ("2.15.0", "580.65.06"),
    ];
    assert_eq!(drivers, expected);
    let (_, image) = &all()[3];
    assert!(image.unfit_driver("525.60.13").is_none(), "550 is CUDA 12.4's own, 525 is enough");
    assert!(image.unfit_driver("470.57.02").is_some());
    assert_eq!(is_new_enough("580.65.06", expected[5].1), Some(true));
}
