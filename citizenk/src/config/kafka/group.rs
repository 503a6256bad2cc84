//! Settings of a consumer's group that contradict each other.
//!
//! The client refuses some of them too, later and in words that do not say what to do.

use super::ClientSettings;
use crate::config::Setting;
use crate::error::ConfigError;
use crate::suggest::did_you_mean;

const PROTOCOL: &str = "group.protocol";
const STRATEGY: &str = "partition.assignment.strategy";
const COOPERATIVE: &str = "cooperative-sticky";
const STRATEGIES: [&str; 3] = [COOPERATIVE, "range", "roundrobin"];
/// With the newer protocol these are the broker's.
const CLASSIC_ONLY: [&str; 4] = [
    STRATEGY,
    "session.timeout.ms",
    "heartbeat.interval.ms",
    "group.protocol.type",
];

/// Checks what a consumer was given by all sources together.
pub(in crate::config) fn check(settings: &ClientSettings) -> Vec<ConfigError> {
    let mut errors = Vec::new();
    let mut refuse = |key: &str, setting: &Setting<String>, message: String| {
        errors.push(
            setting
                .source
                .error(&format!("kafka.consumer.{key}"), message),
        );
    };
    let protocol = settings.get(PROTOCOL);
    let newer = protocol.is_some_and(|protocol| protocol.value.trim() == "consumer");
    if let Some(protocol) = protocol {
        let name = protocol.value.trim();
        if !matches!(name, "classic" | "consumer") {
            let hint = did_you_mean(name, ["classic", "consumer"]);
            let name = name.escape_debug();
            let message = format!("`{PROTOCOL}={name}`: use `classic` or `consumer`{hint}");
            refuse(PROTOCOL, protocol, message);
        }
    }
    if newer {
        for key in CLASSIC_ONLY {
            if let Some(setting) = settings.get(key) {
                let instead = if key == STRATEGY {
                    "the broker assigns; choose with `group.remote.assignor=uniform|range`"
                } else {
                    "it is a setting of the broker's groups there"
                };
                let message = format!("`{key}` does not go with `{PROTOCOL}=consumer`: {instead}");
                refuse(key, setting, message);
            }
        }
    } else {
        if let Some(assignor) = settings.get("group.remote.assignor") {
            let message = format!(
                "`group.remote.assignor` needs `{PROTOCOL}=consumer`; without it use `{STRATEGY}`"
            );
            refuse("group.remote.assignor", assignor, message);
        }
        if let Some(strategy) = settings.get(STRATEGY)
            && let Err(message) = strategies(&strategy.value)
        {
            refuse(STRATEGY, strategy, message);
        }
    }
    errors
}

fn strategies(list: &str) -> Result<(), String> {
    let names: Vec<&str> = list.split(',').map(str::trim).collect();
    for name in &names {
        if !STRATEGIES.contains(name) {
            let hint = did_you_mean(name, STRATEGIES);
            return Err(format!(
                "unknown strategy `{}`; use `cooperative-sticky`, `range` or `roundrobin`{hint}",
                name.escape_debug()
            ));
        }
    }
    let cooperative = names.iter().filter(|name| **name == COOPERATIVE).count();
    if cooperative > 0 && cooperative < names.len() {
        return Err(format!(
            "`{list}` mixes `{COOPERATIVE}` with strategies that take all partitions away at each \
             rebalance; members of a group agree on one kind. To change over, take two steps: stop \
             all members of the group, then start them with the new strategy; offsets stay"
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn errors(pairs: &[(&str, &str)]) -> Vec<String> {
        let settings = pairs
            .iter()
            .map(|(key, value)| ((*key).to_owned(), Setting::default_of((*value).to_owned())))
            .collect();
        let errors = check(&settings);
        errors.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_goes_together_passes() {
        for pairs in [
            &[][..],
            &[(STRATEGY, "range")],
            &[(STRATEGY, "roundrobin, range")],
            &[(STRATEGY, COOPERATIVE), ("session.timeout.ms", "6000")],
            &[(PROTOCOL, "classic"), (STRATEGY, "range")],
            &[(PROTOCOL, "consumer"), ("group.remote.assignor", "range")],
            &[("group.instance.id", "worker-3")],
        ] {
            assert_eq!(errors(pairs), [""; 0], "{pairs:?}");
        }
    }

    #[test]
    fn what_does_not_is_refused_with_what_to_do() {
        for (pairs, expected) in [
            (
                &[(STRATEGY, "cooperative-sticky,range")][..],
                "stop all members of the group, then start them",
            ),
            (&[(STRATEGY, "rang")], "did you mean `range`?"),
            (&[(PROTOCOL, "consumr")], "did you mean `consumer`?"),
            (
                &[(PROTOCOL, "consumer"), (STRATEGY, "range")],
                "choose with `group.remote.assignor",
            ),
            (
                &[(PROTOCOL, "consumer"), ("session.timeout.ms", "6000")],
                "a setting of the broker's groups",
            ),
            (
                &[("group.remote.assignor", "range")],
                "needs `group.protocol=consumer`",
            ),
        ] {
            let errors = errors(pairs);
            assert_eq!(errors.len(), 1, "{errors:?}");
            assert!(errors[0].contains(expected), "{}", errors[0]);
        }
    }
}
