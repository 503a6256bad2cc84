//! How a text differs from another one, line by line, as `diff -u` writes it and `patch` reads it.

use std::fmt::Write as _;

/// Lines around a change that are shown with it.
const AROUND: usize = 3;

/// Beyond so many pairs of lines that differ or lie between two that do, all of them are one change.
const MOST: usize = 1_000_000;

/// A line of both texts (` `), of the first one (`-`) or of the second one (`+`).
type Line<'a> = (char, &'a str);

/// What makes the one text the other; empty if they are the same. `None`: there is no such file.
#[must_use]
pub fn unified(file: &str, before: Option<&str>, after: Option<&str>) -> String {
    if before == after {
        return String::new();
    }
    let name = |text: Option<&str>| text.map_or("/dev/null", |_| file).to_owned();
    let mut diff = format!("--- {}\n+++ {}\n", name(before), name(after));
    let lines = lines(before.unwrap_or_default(), after.unwrap_or_default());
    let (mut at, mut old, mut new) = (0, 0, 0);
    for hunk in hunks(&lines) {
        let count = |lines: &[Line<'_>], without: char| {
            lines.iter().filter(|(sign, _)| *sign != without).count()
        };
        let skipped = &lines[at..hunk.start];
        old += count(skipped, '+');
        new += count(skipped, '-');
        let shown = &lines[hunk.clone()];
        let (olds, news) = (count(shown, '+'), count(shown, '-'));
        // Of no lines it is the one before that is named.
        let first = |before: usize, count: usize| before + usize::from(count > 0);
        // Writing to a text does not fail.
        let _ = writeln!(
            diff,
            "@@ -{},{olds} +{},{news} @@",
            first(old, olds),
            first(new, news)
        );
        for (sign, line) in shown {
            diff.push(*sign);
            diff.push_str(line);
            if !line.ends_with('\n') {
                diff.push_str("\n\\ No newline at end of file\n");
            }
        }
        (at, old, new) = (hunk.end, old + olds, new + news);
    }
    diff
}

/// Where lines are shown: around what changes, as one where two would touch.
fn hunks(lines: &[Line<'_>]) -> Vec<std::ops::Range<usize>> {
    let mut hunks: Vec<std::ops::Range<usize>> = Vec::new();
    for at in (0..lines.len()).filter(|at| lines[*at].0 != ' ') {
        let (start, end) = (
            at.saturating_sub(AROUND),
            (at + AROUND + 1).min(lines.len()),
        );
        match hunks.last_mut().filter(|last| last.end >= start) {
            Some(last) => last.end = end,
            None => hunks.push(start..end),
        }
    }
    hunks
}

fn lines<'a>(before: &'a str, after: &'a str) -> Vec<Line<'a>> {
    let old: Vec<&str> = before.split_inclusive('\n').collect();
    let new: Vec<&str> = after.split_inclusive('\n').collect();
    let pairs = || old.iter().zip(&new);
    let head = pairs().take_while(|(old, new)| old == new).count();
    let (old_rest, new_rest) = (&old[head..], &new[head..]);
    let backwards = old_rest.iter().rev().zip(new_rest.iter().rev());
    let tail = backwards.take_while(|(old, new)| old == new).count();
    let both = |line: &&'a str| (' ', *line);
    let mut all: Vec<Line<'a>> = old[..head].iter().map(both).collect();
    all.extend(middle(
        &old_rest[..old_rest.len() - tail],
        &new_rest[..new_rest.len() - tail],
    ));
    all.extend(old[old.len() - tail..].iter().map(both));
    all
}

/// With as many lines in common as there can be.
fn middle<'a>(old: &[&'a str], new: &[&'a str]) -> Vec<Line<'a>> {
    let (olds, news) = (old.len(), new.len());
    let mut all = Vec::with_capacity(olds + news);
    let (mut at_old, mut at_new) = (0, 0);
    if olds.saturating_mul(news) <= MOST {
        // How many lines are the same from here on.
        let width = news + 1;
        let mut same = vec![0_u32; (olds + 1) * width];
        for at_old in (0..olds).rev() {
            for at_new in (0..news).rev() {
                let here = at_old * width + at_new;
                same[here] = if old[at_old] == new[at_new] {
                    same[here + width + 1] + 1
                } else {
                    same[here + width].max(same[here + 1])
                };
            }
        }
        while at_old < olds && at_new < news {
            let here = at_old * width + at_new;
            if old[at_old] == new[at_new] {
                all.push((' ', old[at_old]));
                (at_old, at_new) = (at_old + 1, at_new + 1);
            } else if same[here + width] >= same[here + 1] {
                all.push(('-', old[at_old]));
                at_old += 1;
            } else {
                all.push(('+', new[at_new]));
                at_new += 1;
            }
        }
    }
    all.extend(old[at_old..].iter().map(|line| ('-', *line)));
    all.extend(new[at_new..].iter().map(|line| ('+', *line)));
    all
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
        assert_eq!(new, "--- /dev/null\n+++ t.json\n@@ -0,0 +1,1 @@\n+[]\n");
        let gone = unified("t.json", Some("[]\n"), None);
        assert_eq!(gone, "--- t.json\n+++ /dev/null\n@@ -1,1 +0,0 @@\n-[]\n");
    }

    /// What `patch` makes of it.
    fn patched(before: &str, diff: &str) -> String {
        let old: Vec<&str> = before.split_inclusive('\n').collect();
        let (mut at, mut text) = (0, String::new());
        let mut rows = diff.split_inclusive('\n').skip(2).peekable();
        while let Some(row) = rows.next() {
            if let Some(hunk) = row.strip_prefix("@@ -") {
                let (first, rest) = hunk.split_once(',').expect("a place");
                let (first, none): (usize, bool) =
                    (first.parse().expect("a number"), rest.starts_with("0 "));
                let start = if none { first } else { first - 1 };
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
            before in "([abc]\n){0,30}[ab]?",
            after in "([abc]\n){0,30}[ab]?",
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
