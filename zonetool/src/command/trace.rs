//! `trace`: how a resolver answers a query, step by step.

use namechain_core::api_types::{Trace, TraceAsked};

use crate::{
    cli::TraceArgs,
    client::Client,
    error::CommandError,
    ui::{Ui, escape_line},
    zone,
};

/// Runs the command. `--json` prints what `/v1/trace` says. A name that does not resolve is an
/// answer, too: the command ends with 0.
pub fn run(ui: Ui, client: &Client, args: &TraceArgs) -> Result<(), CommandError> {
    let trace = client.trace(&TraceAsked {
        name: args.name.clone(),
        rtype: Some(args.rtype.clone()),
        fresh: args.fresh,
        dnssec: args.dnssec,
        checking_disabled: args.cd,
    })?;
    let mut trace = trace;
    let answer = &mut trace.answer;
    for lines in [&mut answer.answers, &mut answer.authorities, &mut answer.additionals] {
        lines.iter_mut().for_each(|line| *line = zone::with_presentation(line));
    }
    ui.print_result(&describe(&trace), &trace)?;
    Ok(())
}

fn describe(trace: &Trace) -> String {
    let mut lines = vec![escape_line(&trace.question)];
    for step in &trace.steps {
        let after = step.after_us as f64 / 1_000.0;
        lines.push(format!(
            "{after:>10.3} ms  {:<9}  {}",
            escape_line(&step.who),
            escape_line(&step.what)
        ));
    }
    if trace.cut {
        lines.push("               ...        (further steps are left out)".into());
    }
    let answer = &trace.answer;
    let took = answer.took_us as f64 / 1_000.0;
    lines.push(format!(
        "{took:>10.3} ms  answer     {}, flags {}",
        escape_line(&answer.rcode),
        answer.flags.join(" ")
    ));
    let mut push = |what: &str, all: &[String]| {
        lines.extend(
            all.iter().map(|line| format!("               {what:<9}  {}", escape_line(line))),
        );
    };
    push("record", &answer.answers);
    push("authority", &answer.authorities);
    push("additional", &answer.additionals);
    push("reason", &answer.extended_errors);
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use namechain_core::api_types::{TraceAnswer, TraceStep};

    use super::*;

    #[test]
    fn a_line_for_each_thing_and_nothing_that_a_terminal_obeys() {
        let trace = Trace {
            question: "www.alice. IN A".into(),
            steps: vec![TraceStep {
                after_us: 1_500,
                who: "route".into(),
                what: "whose\u{1b}[31m\n".into(),
            }],
            cut: true,
            answer: TraceAnswer {
                rcode: "SERVFAIL".into(),
                flags: vec!["rd".into(), "ra".into()],
                took_us: 2_000,
                answers: vec!["www.alice. 60 IN A 192.0.2.1".into()],
                authorities: vec![],
                additionals: vec![],
                extended_errors: vec!["14 (Not Ready): the node is not synced".into()],
            },
        };
        let text = describe(&trace);
        let expected = "\
www.alice. IN A
     1.500 ms  route      whose\\x1b[31m\\x0a
               ...        (further steps are left out)
     2.000 ms  answer     SERVFAIL, flags rd ra
               record     www.alice. 60 IN A 192.0.2.1
               reason     14 (Not Ready): the node is not synced";
        assert_eq!(text, expected);
    }
}
