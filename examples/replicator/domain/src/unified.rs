//! How a text differs from another one, line by line, as `diff -u` writes it and `patch` reads it.

use std::time::Duration;

use similar::TextDiff;

/// After this what is left is shown as one change.
const PATIENCE: Duration = Duration::from_millis(500);

/// What makes the one text the other; empty if they are the same. `None`: there is no such file.
#[must_use]
pub fn unified(file: &str, before: Option<&str>, after: Option<&str>) -> String {
    if before == after {
        return String::new();
    }
    let name = |text: Option<&str>| text.map_or("/dev/null", |_| file).to_owned();
    // `patch` takes a lone carriage return for a part of its line.
    let [old, new] = [before, after].map(|text| -> Vec<&str> {
        let text = text.unwrap_or_default();
        text.split_inclusive('\n').collect()
    });
    let diff = TextDiff::configure()
        .newline_terminated(true)
        .timeout(PATIENCE)
        .diff_slices(&old, &new);
    let mut text = format!("--- {}\n+++ {}\n", name(before), name(after));
    for hunk in diff.unified_diff().iter_hunks() {
        text += &format!("{}\n", hunk.header());
        for change in hunk.iter_changes() {
            text += &format!("{}{}", change.tag(), change.value());
            if !change.value().ends_with('\n') {
                text += "\n\\ No newline at end of file\n";
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_changes_is_shown_with_three_lines_around_it() {
        let before: String = (1..=20).map(|n| format!("{n}\n")).collect();
        let after = before.replace("\n2\n", "\ntwo\n").replace("\n15\n", "\n") + "end";
        let expected = "--- m.json\n+++ m.json\n\
            @@ -1,5 +1,5 @@\n 1\n-2\n+two\n 3\n 4\n 5\n\
            @@ -12,9 +12,9 @@\n 12\n 13\n 14\n-15\n 16\n 17\n 18\n 19\n 20\n+end\n\
            \\ No newline at end of file\n";
        assert_eq!(unified("m.json", Some(&before), Some(&after)), expected);
        assert_eq!(unified("m.json", Some(&before), Some(&before)), "");
        let new = unified("t.json", None, Some("[]\n"));
        assert_eq!(new, "--- /dev/null\n+++ t.json\n@@ -0,0 +1 @@\n+[]\n");
        let gone = unified("t.json", Some("[]\n"), None);
        assert_eq!(gone, "--- t.json\n+++ /dev/null\n@@ -1 +0,0 @@\n-[]\n");
    }

    /// What `patch` makes of it.
    fn patched(before: &str, diff: &str) -> String {
        let old: Vec<&str> = before.split_inclusive('\n').collect();
        let (mut at, mut text) = (0, String::new());
        let mut rows = diff.split_inclusive('\n').skip(2).peekable();
        while let Some(row) = rows.next() {
            if let Some(hunk) = row.strip_prefix("@@ -") {
                let (place, _) = hunk.split_once(' ').expect("a place");
                let (first, count) = place.split_once(',').unwrap_or((place, "1"));
                let first: usize = first.parse().expect("a number");
                let start = if count == "0" { first } else { first - 1 };
                text.extend(old[at..start].iter().copied());
                at = start;
                continue;
            }
            let ends = rows.next_if(|next| next.starts_with('\\')).is_some();
            let line = if ends {
                row.trim_end_matches('\n')
            } else {
                row
            };
            if line.starts_with([' ', '-']) {
                assert_eq!(old[at], &line[1..]);
                at += 1;
            }
            if line.starts_with([' ', '+']) {
                text.push_str(&line[1..]);
            }
        }
        text.extend(old[at..].iter().copied());
        text
    }

    proptest! {
        #[test]
        fn a_difference_makes_the_one_text_the_other(
            before in "([abc]\r?\n|c\r){0,30}[ab]?",
            after in "([abc]\r?\n|c\r){0,30}[ab]?",
        ) {
            let diff = unified("f", Some(&before), Some(&after));
            prop_assert_eq!(patched(&before, &diff), after);
        }
    }

    #[test]
    fn texts_too_long_to_compare_are_one_change() {
        let text = |word: &str| {
            (0..2_000)
                .map(|n| format!("{word} {n}\n"))
                .collect::<String>()
        };
        let (before, after) = (text("a"), text("b"));
        let diff = unified("f", Some(&before), Some(&after));
        assert!(diff.contains("@@ -1,2000 +1,2000 @@"), "{}", &diff[..60]);
        assert_eq!(patched(&before, &diff), after);
    }
}
