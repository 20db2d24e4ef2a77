//! How the findings of `repro doctor` are printed.

use serde_json::json;

use super::{Findings, Machine};
use crate::cli::context::Context;
use crate::cli::output;
use crate::doctor::{Check, Code, ImageCode, State, WheelCode, list};

/// Prints the lines, then the GPU code of the image's wheels.
pub fn show(context: &Context, image: Option<&str>, machine: &Machine, findings: &Findings) {
    if context.json {
        return json_report(image, machine, findings);
    }
    let header = ["state", "check", "needed", "there", "what to do"].map(str::to_owned).to_vec();
    let row = |check: &Check| {
        vec![
            check.state.word().to_owned(),
            check.check.clone(),
            check.needed.clone(),
            check.there.clone(),
            check.to_do.clone(),
        ]
    };
    let rows: Vec<_> = std::iter::once(header).chain(findings.checks.iter().map(row)).collect();
    output::print(&output::columns(&rows, &[]));
    if let Some(code) = &findings.code {
        output::print(&code_text(code));
    }
    let number = |state| findings.checks.iter().filter(|check| check.state == state).count();
    output::print(&format!(
        "\n{} bad, {} to be warned of, {} not checked\n",
        number(State::Bad),
        number(State::Warn),
        number(State::NotChecked)
    ));
}

fn code_text(code: &ImageCode) -> String {
    let mut text = String::new();
    for (wheel, code) in code.with_code() {
        text.push_str(&format!("\nGPU code of {wheel}{}\n", runtimes(code)));
        let header = ["library", "machine code", "PTX"].map(str::to_owned).to_vec();
        let rows = code.libraries.iter().map(|library| match &library.problem {
            Some(problem) => vec![library.path.clone(), format!("not read: {problem}")],
            None if !library.is_evidence() => {
                vec![library.path.clone(), "no kernel here, so it tells nothing".to_owned()]
            }
            None => {
                let (ptx, cubins) =
                    library.code().into_iter().partition(|code| matches!(code, Code::Ptx(..)));
                vec![library.path.clone(), list(&cubins), list(&ptx)]
            }
        });
        let rows: Vec<_> = std::iter::once(header).chain(rows).collect();
        let table = output::columns(&rows, &[]);
        table.lines().for_each(|line| text.push_str(&format!("  {line}\n")));
    }
    text
}

fn runtimes(code: &WheelCode) -> String {
    let versions: Vec<String> = code.runtimes.iter().map(ToString::to_string).collect();
    match versions.as_slice() {
        [] => String::new(),
        versions => format!(", linked to CUDA {}", versions.join(" and ")),
    }
}

fn json_report(image: Option<&str>, machine: &Machine, findings: &Findings) {
    let cards = machine.cards.iter().map(|known| {
        json!({ "index": known.card.index, "uuid": known.card.uuid, "name": known.card.name,
            "compute_capability": known.capability.map(|it| it.to_string()) })
    });
    let wheels = findings.code.iter().flat_map(|code| &code.wheels).map(|wheel| {
        json!({ "wheel": wheel.wheel, "looked_at": wheel.code.is_some(),
            "code": wheel.code.as_ref().map(WheelCode::code),
            "runtimes": wheel.code.as_ref().map(|code| &code.runtimes),
            "libraries": wheel.code.as_ref().map(|code| &code.libraries) })
    });
    output::json(&json!({
        "image": image,
        "is_this_machine": machine.is_this,
        "cards": cards.collect::<Vec<_>>(),
        "driver": machine.host.driver,
        "ok": findings.checks.iter().all(|check| check.state != State::Bad),
        "checks": findings.checks,
        "wheels": wheels.collect::<Vec<_>>(),
    }));
}
