//! "Did you mean": the known word nearest to a misspelled one.
//!
//! In: what someone wrote and what exists. Out: one suggestion or none. Pure; used by every error text
//! that names something unknown.

/// The candidate nearest to `word`, if it is near enough to be a slip of the pen: at most one mistake per
/// four letters (insert, delete, replace or swap), ignoring case and taking `-`, `_` and `.` for the same.
pub(crate) fn nearest<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let word = fold(word);
    let limit = (word.len() / 4).clamp(1, 4);
    candidates
        .into_iter()
        .filter_map(|candidate| {
            let folded = fold(candidate);
            if folded.len().abs_diff(word.len()) > limit {
                return None;
            }
            let distance = distance(&word, &folded);
            (distance <= limit).then_some((distance, candidate))
        })
        // `min_by_key` keeps the first of equals, so that the answer follows the candidates' order.
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// `; did you mean `x`?` or nothing: to be appended to a message.
pub(crate) fn did_you_mean<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> String {
    match nearest(word, candidates) {
        Some(candidate) => format!("; did you mean `{candidate}`?"),
        None => String::new(),
    }
}

fn fold(word: &str) -> Vec<char> {
    word.chars()
        .map(|c| match c {
            '-' | '.' => '_',
            c => c.to_ascii_lowercase(),
        })
        .collect()
}

/// Optimal string alignment: Levenshtein plus swaps of neighbours.
fn distance(a: &[char], b: &[char]) -> usize {
    let mut before = vec![0; b.len() + 1];
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i; b.len() + 1];
        for j in 1..=b.len() {
            let replace = last[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            row[j] = replace.min(last[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                row[j] = row[j].min(before[j - 2] + 1);
            }
        }
        before = last;
        last = row;
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn slips_are_recognised_and_other_words_are_not() {
        let known = ["batch_size", "batch_timeout", "concurrency", "timeout"];
        for (word, expected) in [
            ("batchsize", Some("batch_size")),
            ("batch-size", Some("batch_size")),
            ("Batch_Size", Some("batch_size")),
            ("cocnurrency", Some("concurrency")),
            ("timout", Some("timeout")),
            ("partitions", None),
            ("", None),
            ("xy", None),
        ] {
            assert_eq!(nearest(word, known), expected, "{word}");
        }
        assert_eq!(did_you_mean("timout", known), "; did you mean `timeout`?");
        assert_eq!(did_you_mean("partitions", known), "");
    }

    proptest! {
        #[test]
        fn distance_is_symmetric_and_zero_only_for_equals(a in "[ab_]{0,6}", b in "[ab_]{0,6}") {
            let (x, y): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
            prop_assert_eq!(distance(&x, &y), distance(&y, &x));
            prop_assert_eq!(distance(&x, &y) == 0, a == b);
        }
    }
}
