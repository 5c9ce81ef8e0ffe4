//! Which story waits for which: known stories of the same board, never in a circle.

use std::collections::{BTreeMap, BTreeSet};

use super::Refusal;
use crate::domain::ids::StoryId;

/// Most stories that one waits for.
const MOST: usize = 50;

/// What each story of a board waits for.
pub type Edges = BTreeMap<StoryId, Vec<StoryId>>;

/// Checks that `story` may wait for all of `wanted`. `edges` has every story of the board as a key.
///
/// # Errors
/// [`Refusal::Bad`] for one that is unknown, named twice, or the story itself; [`Refusal::Cycle`] with the way
/// around.
pub fn check(story: &StoryId, wanted: &[StoryId], edges: &Edges) -> Result<(), Refusal> {
    if wanted.len() > MOST {
        return Err(Refusal::Bad(format!("a story waits for at most {MOST} others")));
    }
    let mut seen = BTreeSet::new();
    for other in wanted {
        if other == story {
            return Err(Refusal::Cycle(vec![story.to_string(), story.to_string()]));
        }
        if !edges.contains_key(other) {
            return Err(Refusal::Bad(format!("dependsOn names {other}, which is no story of this project")));
        }
        if !seen.insert(other) {
            return Err(Refusal::Bad(format!("dependsOn names {other} twice")));
        }
    }
    for other in wanted {
        if let Some(mut way) = way_to(other, story, edges) {
            way.insert(0, story.to_string());
            return Err(Refusal::Cycle(way));
        }
    }
    Ok(())
}

/// A way along dependencies, both ends included. Walks without recursion: chains may be long.
fn way_to(from: &StoryId, to: &StoryId, edges: &Edges) -> Option<Vec<String>> {
    let mut came: BTreeMap<&StoryId, &StoryId> = BTreeMap::new();
    let mut open = vec![from];
    let mut seen = BTreeSet::from([from]);
    while let Some(here) = open.pop() {
        if here == to {
            let mut way = vec![here.to_string()];
            let mut at = here;
            while let Some(before) = came.get(at) {
                way.insert(0, before.to_string());
                at = before;
            }
            return Some(way);
        }
        for next in edges.get(here).into_iter().flatten() {
            if seen.insert(next) {
                came.insert(next, here);
                open.push(next);
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn id(text: &str) -> StoryId {
        StoryId::new(text)
    }

    fn edges(list: &[(&str, &[&str])]) -> Edges {
        list.iter().map(|(from, to)| (id(from), to.iter().map(|to| id(to)).collect())).collect()
    }

    #[test]
    fn circles_strangers_and_doubles_are_refused() {
        let edges = edges(&[("a", &["b"]), ("b", &["c"]), ("c", &[]), ("d", &[])]);
        let check = |story: &str, wanted: &[&str]| {
            let wanted: Vec<StoryId> = wanted.iter().map(|wanted| id(wanted)).collect();
            check(&id(story), &wanted, &edges)
        };
        assert_eq!(check("d", &["a", "c"]), Ok(()));
        assert_eq!(check("a", &["c", "d"]), Ok(()));
        assert_eq!(check("c", &["a"]), Err(Refusal::Cycle(["c", "a", "b", "c"].map(String::from).to_vec())));
        assert_eq!(check("a", &["a"]).unwrap_err().code(), "dependency_cycle");
        assert_eq!(check("a", &["x"]).unwrap_err().code(), "bad_request");
        assert_eq!(check("d", &["a", "a"]).unwrap_err().code(), "bad_request");
    }

    proptest! {
        /// Whatever is accepted, the stories can be done in some order.
        #[test]
        fn what_is_accepted_has_an_order(wishes in prop::collection::vec((0_usize..12, 0_usize..12), 0..60)) {
            let mut edges: Edges = (0..12).map(|at| (id(&at.to_string()), vec![])).collect();
            for (from, to) in wishes {
                let mut wanted = edges[&id(&from.to_string())].clone();
                wanted.push(id(&to.to_string()));
                if check(&id(&from.to_string()), &wanted, &edges).is_ok() {
                    edges.insert(id(&from.to_string()), wanted);
                }
            }
            let mut done = BTreeSet::new();
            while done.len() < edges.len() {
                let ready: Vec<StoryId> = edges
                    .iter()
                    .filter(|(story, waits)| !done.contains(*story) && waits.iter().all(|one| done.contains(one)))
                    .map(|(story, _)| story.clone())
                    .collect();
                prop_assert!(!ready.is_empty(), "a circle: {:?}", edges);
                done.extend(ready);
            }
        }
    }
}
