//! `atoll approvals`.

use serde_json::json;

use crate::home::Home;

use super::{
    CliResult,
    args::{ApprovalsArgs, ApprovalsCommand, ApprovalsList},
    client::{Client, block_on},
    table::{field, say, say_json, say_table},
};

pub(super) fn run(home: &Home, args: &ApprovalsArgs) -> CliResult {
    let client = Client::find(home)?;
    block_on(async {
        match &args.command() {
            ApprovalsCommand::List(ApprovalsList { all, json }) => {
                let query = if *all { "" } else { "?status=pending" };
                let found = client.get(&format!("/api/v1/approvals{query}")).await?;
                if *json {
                    say_json(&found);
                    return Ok(());
                }
                let list = found["approvals"].as_array().cloned().unwrap_or_default();
                if list.is_empty() {
                    say("nothing waits for an answer");
                    return Ok(());
                }
                let rows = list
                    .iter()
                    .map(|approval| {
                        ["id", "status", "userId", "preview", "expiresAt", "decidedBy"]
                            .map(|key| field(approval, key))
                            .to_vec()
                    })
                    .collect();
                say_table(&["id", "status", "user", "what would be done", "expires", "decided by"], rows);
            }
            ApprovalsCommand::Approve { id, choice } => {
                client.post(&format!("/api/v1/approvals/{id}/approve"), &json!({"choice": choice})).await?;
                say("approved");
            }
            ApprovalsCommand::Reject { id, reason } => {
                client.post(&format!("/api/v1/approvals/{id}/reject"), &json!({"reason": reason})).await?;
                say("rejected");
            }
        }
        Ok(())
    })?
}
