//! The tiers of `.ci/run` that need more than Rust: run where they can, never skipped in silence.

use std::time::Instant;

use crate::failure::{Failure, Result};
use crate::kafka::{INSTALL_JAVA, INSTALL_MAVEN};
use crate::python::INSTALL_PYTHON;
use crate::workspace::{Workspace, under_ci};
use crate::{asyncapi, browser, faults, openapi, process, python, real, schemathesis};

struct Tier {
    name: &'static str,
    /// Programs and what to install for them.
    needs: &'static [(&'static str, &'static str)],
    /// Whether it sees to them by itself where it may.
    installs: bool,
    run: fn(&Workspace) -> Result<()>,
}

/// What is lost or doubled, not how soon: a loaded machine may be late.
const FAULT_ROWS: [&str; 11] = [
    "--untimed",
    "--row",
    "W1",
    "--row",
    "W2",
    "--row",
    "W11",
    "--row",
    "B13",
    "--row",
    "B19",
];

const TIERS: [Tier; 9] = [
    Tier {
        name: "real",
        needs: &[("java", INSTALL_JAVA), ("mvn", INSTALL_MAVEN)],
        installs: false,
        run: |workspace| real::run(workspace, &[]),
    },
    Tier {
        name: "faults",
        needs: &[("java", INSTALL_JAVA), ("mvn", INSTALL_MAVEN)],
        installs: false,
        run: |workspace| faults::run(workspace, &FAULT_ROWS.map(str::to_owned)),
    },
    Tier {
        name: "asyncapi-check",
        needs: &asyncapi::NEEDS,
        installs: false,
        run: asyncapi::run,
    },
    Tier {
        name: "openapi-check",
        needs: &[("python3", INSTALL_PYTHON)],
        installs: false,
        run: openapi::run,
    },
    Tier {
        name: "schemathesis",
        needs: &[("python3", INSTALL_PYTHON)],
        installs: false,
        run: schemathesis::run,
    },
    Tier {
        name: "python-member",
        needs: &[
            ("java", INSTALL_JAVA),
            ("mvn", INSTALL_MAVEN),
            ("python3", INSTALL_PYTHON),
        ],
        installs: false,
        run: python::member,
    },
    Tier {
        name: "python-schemas",
        needs: &[
            ("java", INSTALL_JAVA),
            ("mvn", INSTALL_MAVEN),
            ("python3", INSTALL_PYTHON),
        ],
        installs: false,
        run: python::schemas,
    },
    Tier {
        name: "ui",
        needs: &browser::NEEDS,
        installs: true,
        run: |workspace| browser::run(workspace, &browser::Options::all()),
    },
    Tier {
        name: "ui-real",
        needs: &[
            ("java", INSTALL_JAVA),
            ("mvn", INSTALL_MAVEN),
            browser::NEEDS[0],
            browser::NEEDS[1],
            browser::NEEDS[2],
        ],
        installs: false,
        run: |workspace| browser::run(workspace, &browser::Options::real()),
    },
];

pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    for tier in &TIERS {
        let missing: Vec<String> = tier
            .needs
            .iter()
            .filter_map(|(program, install)| process::find_program(program, install).err())
            .map(|failure| failure.to_string())
            .collect();
        if missing.is_empty() || (tier.installs && browser::may_install()) {
            println!("--- {}", tier.name);
            let begun = Instant::now();
            (tier.run)(workspace)?;
            println!(
                "--- {}: passed in {} s",
                tier.name,
                begun.elapsed().as_secs()
            );
        } else {
            let why = missing.join("; ");
            if under_ci() {
                return Err(Failure::new(format!(
                    "the tier `{}` cannot run: {why}",
                    tier.name
                )));
            }
            eprintln!(
                "\n!!! SKIPPED: the tier `{}` cannot run here: {why}\n!!! (with CI=true this is a failure)\n",
                tier.name
            );
        }
    }
    Ok(())
}
