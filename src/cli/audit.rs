//! `atoll audit`: reads the store itself.

use crate::{
    actors::db::messages::{DbDoors, ListAudit, VerifyAudit},
    home::Home,
};

use super::{
    CliResult, Surroundings,
    args::{AuditArgs, AuditCommand, AuditList},
    table::{say, say_json, say_table},
};

/// Rows of one page.
const PAGE: usize = 1_000;

pub(super) fn run(home: &Home, args: &AuditArgs, surroundings: &dyn Surroundings) -> CliResult {
    match &args.command() {
        AuditCommand::List(AuditList { lines, json }) => {
            let (lines, json) = (*lines, *json);
            surroundings.with_store(home, Box::new(move |doors| Box::pin(list(doors, lines, json))))
        }
        AuditCommand::Verify => surroundings.with_store(
            home,
            Box::new(move |doors| {
                Box::pin(async move {
                    let (rows, head) = doors.read.verify_audit.ask(VerifyAudit {}).await?;
                    say(&format!("{rows} rows, unbroken; the last hash is {head}"));
                    Ok(())
                })
            }),
        ),
    }
}

async fn list(doors: DbDoors, lines: usize, json: bool) -> CliResult {
    let mut last = Vec::new();
    let mut after = 0;
    loop {
        let page = doors.read.list_audit.ask(ListAudit { after, limit: PAGE }).await?;
        let Some(end) = page.last().map(|row| row.seq) else { break };
        after = end;
        last.extend(page);
        last.drain(..last.len().saturating_sub(lines));
    }
    if json {
        say_json(&serde_json::to_value(&last).unwrap_or_default());
        return Ok(());
    }
    let rows = last
        .into_iter()
        .map(|row| {
            let at = chrono::DateTime::from_timestamp_millis(row.act.at)
                .map(|utc| utc.format("%Y-%m-%d %H:%M:%S").to_string())
                .unwrap_or_default();
            vec![row.seq.to_string(), at, row.act.actor, row.act.action, row.act.subject, row.act.details]
        })
        .collect();
    say_table(&["no", "when (UTC)", "who", "what", "to what", "more"], rows);
    Ok(())
}
