//! Records that would come back to where they came from.

/// One copy, from place to place; a place is a topic of a cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edge {
    /// Who copies.
    pub mapping: String,
    /// From where.
    pub from: String,
    /// To where.
    pub to: String,
}

/// The first circle, as the mappings along it; `None`: there is none.
#[must_use]
pub fn circle(edges: &[Edge]) -> Option<Vec<&Edge>> {
    fn walk<'a>(
        edges: &'a [Edge],
        at: &str,
        path: &mut Vec<&'a Edge>,
        done: &mut Vec<&'a str>,
    ) -> bool {
        for edge in edges.iter().filter(|edge| edge.from == at) {
            if let Some(start) = path.iter().position(|before| before.from == edge.to) {
                path.push(edge);
                path.drain(..start);
                return true;
            }
            path.push(edge);
            if edge.to == edge.from {
                path.drain(..path.len() - 1);
                return true;
            }
            if !done.contains(&edge.to.as_str()) && walk(edges, &edge.to, path, done) {
                return true;
            }
            path.pop();
            done.push(&edge.to);
        }
        false
    }
    let mut done = Vec::new();
    for edge in edges {
        let mut path = Vec::new();
        if !done.contains(&edge.from.as_str()) && walk(edges, &edge.from, &mut path, &mut done) {
            return Some(path);
        }
        done.push(&edge.from);
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn edges(pairs: &[(u8, u8)]) -> Vec<Edge> {
        let edge = |(from, to): &(u8, u8)| Edge {
            mapping: format!("{from}-{to}"),
            from: from.to_string(),
            to: to.to_string(),
        };
        pairs.iter().map(edge).collect()
    }

    #[test]
    fn circles_are_named_and_diamonds_are_none() {
        assert_eq!(
            circle(&edges(&[(1, 2), (2, 3), (1, 3), (3, 4), (2, 4)])),
            None
        );
        let round = edges(&[(9, 1), (1, 2), (2, 3), (3, 1)]);
        let names: Vec<_> = circle(&round)
            .expect("a circle")
            .iter()
            .map(|edge| edge.mapping.as_str())
            .collect();
        assert_eq!(names, ["1-2", "2-3", "3-1"]);
        assert_eq!(circle(&edges(&[(5, 5)])).expect("a circle").len(), 1);
    }

    proptest! {
        #[test]
        fn it_finds_what_reachability_finds(pairs in prop::collection::vec((0_u8..7, 0_u8..7), 0..12)) {
            let mut reach = [[false; 7]; 7];
            for (from, to) in &pairs { reach[usize::from(*from)][usize::from(*to)] = true; }
            for via in 0..7 { for from in 0..7 { for to in 0..7 {
                reach[from][to] |= reach[from][via] && reach[via][to];
            } } }
            let expected = (0..7).any(|at| reach[at][at]);
            let edges = edges(&pairs);
            let found = circle(&edges);
            prop_assert_eq!(found.is_some(), expected);
            for window in found.unwrap_or_default().windows(2) {
                prop_assert_eq!(&window[0].to, &window[1].from);
            }
        }
    }
}
