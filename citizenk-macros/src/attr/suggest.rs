//! "did you mean".
//!
//! In: a word and the words there are. Out: the nearest one, when it is near enough to be meant.

/// The nearest of `known`, at most a third of the word away.
pub(crate) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let limit = (word.chars().count() / 3).max(1);
    known
        .into_iter()
        .map(|candidate| (distance(word, candidate), candidate))
        .filter(|(distance, candidate)| {
            *distance <= limit || (word.len() >= 4 && candidate.starts_with(word))
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Edits (insert, delete, replace) between two words.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, to) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(from != *to);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_words_are_suggested_and_far_ones_are_not() {
        let known = ["batch_size", "batch_timeout", "topics", "startup"];
        assert_eq!(nearest("batchsize", known), Some("batch_size"));
        assert_eq!(nearest("topic", known), Some("topics"));
        assert_eq!(nearest("start", known), Some("startup"));
        assert_eq!(nearest("guarantee", known), None);
        assert_eq!(nearest("", known), None);
        assert_eq!(nearest("größe", known), None);
    }
}
