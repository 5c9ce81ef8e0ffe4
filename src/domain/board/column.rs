//! Columns of a board. What a column means is its role; its name is for people.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Refusal, check_text};
use crate::domain::ids::{BoardId, ColumnId, ProjectId};

/// Most columns of a board.
const MOST: usize = 20;
/// Largest limit of a column.
const MOST_STORIES: u32 = 10_000;

/// What a column means, whatever it is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ColumnRole {
    /// Ideas.
    Backlog,
    /// Ready: bots take from here.
    Todo,
    /// Somebody works on it.
    InProgress,
    /// Done by whoever worked on it, looked at by people.
    Review,
    /// Done.
    Done,
}

impl ColumnRole {
    /// All of them, in the order of work.
    pub const ALL: [Self; 5] = [Self::Backlog, Self::Todo, Self::InProgress, Self::Review, Self::Done];

    /// The word that is stored and typed.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Backlog => "backlog",
            Self::Todo => "todo",
            Self::InProgress => "in_progress",
            Self::Review => "review",
            Self::Done => "done",
        }
    }

    /// Reads the word.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == text)
    }

    /// What a fresh board calls it.
    pub fn default_name(self) -> &'static str {
        match self {
            Self::Backlog => "Backlog",
            Self::Todo => "Todo",
            Self::InProgress => "In Progress",
            Self::Review => "Review",
            Self::Done => "Done",
        }
    }
}

/// A column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Its id.
    pub id: ColumnId,
    /// What people call it.
    pub name: String,
    /// What it means.
    pub role: ColumnRole,
    /// How many stories it takes; `None` for any number.
    pub wip_limit: Option<u32>,
}

/// A project's board.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Board {
    /// Its id.
    pub id: BoardId,
    /// Whose it is.
    pub project: ProjectId,
    /// What people call it.
    pub name: String,
    /// Its columns, in order.
    pub columns: Vec<Column>,
    /// Counts its changes.
    pub version: u64,
}

/// A column as it is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnDraft {
    /// Its id: of a column that is there, or a fresh one.
    pub id: ColumnId,
    /// It is new.
    pub is_new: bool,
    /// What people call it.
    pub name: String,
    /// What it means.
    pub role: ColumnRole,
    /// How many stories it takes.
    pub wip_limit: Option<u32>,
}

/// A change to a board; what is `None` stays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BoardChange {
    /// The version that was seen.
    pub version: Option<u64>,
    /// What it is called.
    pub name: Option<String>,
    /// All its columns, in order. One that is left out goes.
    pub columns: Option<Vec<ColumnDraft>>,
}

impl Board {
    /// A fresh board, with a column for each role.
    pub fn fresh(id: BoardId, project: ProjectId, columns: [ColumnId; 5]) -> Self {
        let columns = columns.into_iter().zip(ColumnRole::ALL).map(|(id, role)| Column {
            id,
            name: role.default_name().to_owned(),
            role,
            wip_limit: None,
        });
        let columns = columns.collect();
        Self { id, project, name: "Board".to_owned(), columns, version: 1 }
    }

    /// A column by its id.
    pub fn column(&self, id: &ColumnId) -> Option<&Column> {
        self.columns.iter().find(|column| column.id == *id)
    }

    /// What a column means.
    pub fn role(&self, id: &ColumnId) -> Option<ColumnRole> {
        self.column(id).map(|column| column.role)
    }

    /// The first column with this role. Every board has one.
    pub fn first(&self, role: ColumnRole) -> Option<&Column> {
        self.columns.iter().find(|column| column.role == role)
    }

    /// The board after a change. `stories` says how many each column has.
    ///
    /// # Errors
    /// [`Refusal`] when the change is stale, does not fit, or would lose stories or their meaning.
    pub fn revise(&self, change: &BoardChange, stories: &BTreeMap<ColumnId, u64>) -> Result<Self, Refusal> {
        check_version(change.version, self.version)?;
        let mut next = Self { version: self.version + 1, ..self.clone() };
        if let Some(name) = &change.name {
            check_text("the board's name", name, 1, 100, false)?;
            name.trim().clone_into(&mut next.name);
        }
        let Some(drafts) = &change.columns else { return Ok(next) };
        check_drafts(drafts)?;
        let held = |column: &Column, verb| match stories.get(&column.id).copied().unwrap_or(0) {
            0 => Ok(()),
            stories => Err(Refusal::ColumnInUse { column: column.name.clone(), stories, verb }),
        };
        for draft in drafts {
            match self.column(&draft.id) {
                None if draft.is_new => {}
                None => return Err(Refusal::Bad(format!("the board has no column {}", draft.id))),
                Some(column) if column.role == draft.role => {}
                Some(column) => held(column, "change its role")?,
            }
        }
        for column in &self.columns {
            if !drafts.iter().any(|draft| draft.id == column.id) {
                held(column, "remove it")?;
            }
        }
        let columns = drafts.iter().map(|draft| Column {
            id: draft.id.clone(),
            name: draft.name.trim().to_owned(),
            role: draft.role,
            wip_limit: draft.wip_limit,
        });
        next.columns = columns.collect();
        Ok(next)
    }
}

fn check_drafts(drafts: &[ColumnDraft]) -> Result<(), Refusal> {
    let bad = |why: String| Err(Refusal::Bad(why));
    if drafts.len() > MOST {
        return bad(format!("a board has at most {MOST} columns"));
    }
    for (at, draft) in drafts.iter().enumerate() {
        check_text("a column's name", &draft.name, 1, 60, false)?;
        if draft.wip_limit.is_some_and(|limit| limit == 0 || limit > MOST_STORIES) {
            return bad(format!("wipLimit must be from 1 to {MOST_STORIES}, or null for none"));
        }
        let same = |other: &ColumnDraft| {
            other.id == draft.id || other.name.trim().to_lowercase() == draft.name.trim().to_lowercase()
        };
        if drafts[..at].iter().any(same) {
            return bad(format!("the column `{}` is named twice", draft.name));
        }
    }
    match ColumnRole::ALL.iter().find(|role| !drafts.iter().any(|draft| draft.role == **role)) {
        Some(role) => bad(format!("a board needs a column with the role {}", role.as_str())),
        None => Ok(()),
    }
}

/// Checks the version that a caller saw, when they say one.
///
/// # Errors
/// [`Refusal::Stale`] when it is another one by now.
pub fn check_version(given: Option<u64>, current: u64) -> Result<(), Refusal> {
    match given {
        Some(given) if given != current => Err(Refusal::Stale { given, current }),
        _ => Ok(()),
    }
}

/// Checks that a column that has `stories` takes one more.
///
/// # Errors
/// [`Refusal::WipLimit`] when it is full.
pub fn check_room(column: &Column, stories: u64) -> Result<(), Refusal> {
    match column.wip_limit {
        Some(limit) if stories >= u64::from(limit) => {
            Err(Refusal::WipLimit { column: column.name.clone(), limit })
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn board() -> Board {
        let ids = ["b", "t", "p", "r", "d"].map(ColumnId::new);
        Board::fresh(BoardId::new("x"), ProjectId::new("p"), ids)
    }

    fn drafts() -> Vec<ColumnDraft> {
        let draft = |column: &Column| ColumnDraft {
            id: column.id.clone(),
            is_new: false,
            name: column.name.clone(),
            role: column.role,
            wip_limit: None,
        };
        board().columns.iter().map(draft).collect()
    }

    fn revised(columns: Vec<ColumnDraft>, stories: &[(&str, u64)]) -> Result<Board, Refusal> {
        let stories = stories.iter().map(|(id, count)| (ColumnId::new(*id), *count)).collect();
        board().revise(&BoardChange { columns: Some(columns), ..Default::default() }, &stories)
    }

    #[test]
    fn a_renamed_and_moved_column_keeps_its_meaning() {
        let mut columns = drafts();
        columns[1].name = " Ready ".into();
        columns[1].wip_limit = Some(3);
        columns.swap(0, 1);
        let next = revised(columns, &[("t", 2), ("b", 1)]).unwrap();
        let todo = next.first(ColumnRole::Todo).unwrap();
        assert_eq!((todo.name.as_str(), todo.wip_limit, todo.id.as_str()), ("Ready", Some(3), "t"));
        assert_eq!((next.columns[0].id.as_str(), next.version), ("t", 2));
        assert!(check_room(todo, 2).is_ok());
        assert_eq!(check_room(todo, 3).unwrap_err().code(), "wip_limit");
        assert!(check_room(&next.columns[1], 9_999).is_ok());
    }

    #[test]
    fn what_would_lose_stories_or_their_meaning_is_refused() {
        let without = |at: usize| {
            let mut columns = drafts();
            columns.remove(at);
            columns
        };
        let edit = |edit: &dyn Fn(&mut Vec<ColumnDraft>)| {
            let mut columns = drafts();
            edit(&mut columns);
            columns
        };
        let extra = |name: &str, role| ColumnDraft {
            id: ColumnId::new("n"),
            is_new: true,
            name: name.into(),
            role,
            wip_limit: None,
        };
        for (columns, stories, code) in [
            (without(3), &[][..], "bad_request"),
            (edit(&|columns| columns[2].wip_limit = Some(0)), &[], "bad_request"),
            (edit(&|columns| columns[2].name = "todo".into()), &[], "bad_request"),
            (edit(&|columns| columns[2].name = " ".into()), &[], "bad_request"),
            (edit(&|columns| columns[2].id = ColumnId::new("zz")), &[], "bad_request"),
            (edit(&|columns| columns.push(extra("QA", ColumnRole::Review))), &[], ""),
            (
                edit(&|columns| {
                    columns[3] = extra("QA", ColumnRole::Review);
                }),
                &[("r", 2)],
                "column_in_use",
            ),
            (
                edit(&|columns| {
                    columns[3].role = ColumnRole::Todo;
                    columns.push(extra("QA", ColumnRole::Review));
                }),
                &[("r", 1)],
                "column_in_use",
            ),
            (
                edit(&|columns| columns.extend((0..20).map(|_| extra("x", ColumnRole::Todo)))),
                &[],
                "bad_request",
            ),
        ] {
            let code_now = revised(columns.clone(), stories).map_or_else(|refusal| refusal.code(), |_| "");
            assert_eq!(code_now, code, "{columns:?}");
        }
        let stale = BoardChange { version: Some(7), ..Default::default() };
        assert_eq!(board().revise(&stale, &BTreeMap::new()), Err(Refusal::Stale { given: 7, current: 1 }));
    }
}
