//! Boards and their columns.

use std::collections::BTreeMap;

use rusqlite::{Connection, params};

use super::{Result, StoreError, audit, execute, row, rows};
use crate::domain::{
    audit::Act,
    board::{Board, BoardChange, Column, ColumnRole},
    ids::{BoardId, ColumnId, ProjectId},
};

/// Stores a fresh board.
pub(super) fn insert(db: &Connection, board: &Board) -> Result<()> {
    let sql = "INSERT INTO boards (id, project_id, name, version) VALUES (?1, ?2, ?3, ?4)";
    let version = board.version.cast_signed();
    execute(db, sql, params![board.id.as_str(), board.project.as_str(), board.name, version])?;
    save_columns(db, board)
}

/// The board of a project.
///
/// # Errors
/// [`StoreError::NotFound`] when there is no such project.
pub fn of(db: &Connection, project: &ProjectId) -> Result<Board> {
    let sql = "SELECT id, name, version FROM boards WHERE project_id = ?1";
    let found = row(db, sql, [project.as_str()], |row| {
        Ok(Board {
            id: BoardId::new(row.get::<_, String>(0)?),
            project: project.clone(),
            name: row.get(1)?,
            columns: Vec::new(),
            version: row.get::<_, i64>(2)?.unsigned_abs(),
        })
    })?;
    let board = found.ok_or(StoreError::NotFound("project"))?;
    let sql = "SELECT id, name, role, wip_limit FROM board_columns WHERE board_id = ?1 ORDER BY place";
    let columns = rows(db, sql, [board.id.as_str()], |row| {
        let word: String = row.get(2)?;
        Ok(Column {
            id: ColumnId::new(row.get::<_, String>(0)?),
            name: row.get(1)?,
            role: ColumnRole::parse(&word).ok_or_else(|| StoreError::Corrupt(format!("the role {word}")))?,
            wip_limit: row.get(3)?,
        })
    })?;
    Ok(Board { columns, ..board })
}

/// How many stories each column of a project has; those without any are left out.
///
/// # Errors
/// When the store fails.
pub fn counts(db: &Connection, project: &ProjectId) -> Result<BTreeMap<ColumnId, u64>> {
    let sql = "SELECT column_id, count(*) FROM stories WHERE project_id = ?1 GROUP BY column_id";
    let counts = rows(db, sql, [project.as_str()], |row| {
        Ok((ColumnId::new(row.get::<_, String>(0)?), row.get::<_, i64>(1)?.unsigned_abs()))
    })?;
    Ok(counts.into_iter().collect())
}

/// Changes a board.
///
/// # Errors
/// [`StoreError::NotFound`], or why the domain refuses the change.
pub fn change(db: &Connection, project: &ProjectId, change: &BoardChange, act: Act) -> Result<Board> {
    let board = of(db, project)?;
    let next = board.revise(change, &counts(db, project)?)?;
    let sql = "UPDATE boards SET name = ?2, version = ?3 WHERE id = ?1";
    execute(db, sql, params![board.id.as_str(), next.name, next.version.cast_signed()])?;
    for gone in board.columns.iter().filter(|column| next.column(&column.id).is_none()) {
        execute(db, "DELETE FROM board_columns WHERE id = ?1", [gone.id.as_str()])?;
    }
    save_columns(db, &next)?;
    audit::append(db, act)?;
    Ok(next)
}

fn save_columns(db: &Connection, board: &Board) -> Result<()> {
    let sql = "INSERT INTO board_columns (id, board_id, place, name, role, wip_limit)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6)
               ON CONFLICT (id) DO UPDATE SET place = ?3, name = ?4, role = ?5, wip_limit = ?6";
    for (place, column) in board.columns.iter().enumerate() {
        let (id, role) = (column.id.as_str(), column.role.as_str());
        execute(db, sql, params![id, board.id.as_str(), place as i64, column.name, role, column.wip_limit])?;
    }
    Ok(())
}
