//! `atoll keys`: works on the store itself, also while the server runs and before its first start.

use crate::{
    actors::db::messages::{CreateKey, ListKeys, RevokeKey},
    domain::{
        access::{Role, fresh_key, hash_key, key_text},
        audit::Act,
        ids::{KeyId, UserId, encode},
    },
    home::Home,
};

use super::{
    CliError, CliResult, Surroundings,
    args::{KeysArgs, KeysCommand, KeysList},
    table::{say, say_json, say_table},
};

pub(super) fn run(home: &Home, args: &KeysArgs, surroundings: &dyn Surroundings) -> CliResult {
    let now = surroundings.now();
    match &args.command() {
        KeysCommand::Create { name, role, user, act_for_others } => {
            let role = Role::parse(role)
                .ok_or_else(|| CliError::said("--role must be owner, developer or viewer"))?;
            let user = user
                .as_deref()
                .map(UserId::parse)
                .transpose()
                .map_err(|bad| CliError::said(bad.to_string()))?;
            let (secret, fresh) = surroundings.random()?;
            let id = KeyId::new(encode(fresh));
            let others = act_for_others.then_some(true);
            let (key, act) = fresh_key(id, name, role, user, others, now)
                .map_err(|bad| CliError::said(bad.to_string()))?;
            let text = key_text(&secret);
            let create = CreateKey { key, hash: hash_key(&text).to_vec(), act };
            surroundings.with_store(
                home,
                Box::new(move |doors| {
                    Box::pin(async move {
                        doors.write.create_key.ask(create).await?;
                        // Alone on standard output: a script reads it.
                        say(&text);
                        Ok(())
                    })
                }),
            )
        }
        KeysCommand::List(KeysList { json }) => {
            let json = *json;
            surroundings.with_store(home, Box::new(move |doors| Box::pin(list(doors, json))))
        }
        KeysCommand::Revoke { id } => {
            let id = KeyId::new(id.clone());
            let act = Act {
                at: now,
                actor: "local".into(),
                action: "key.revoked".into(),
                subject: id.to_string(),
                details: String::new(),
            };
            surroundings.with_store(
                home,
                Box::new(move |doors| {
                    Box::pin(async move {
                        let key = doors.write.revoke_key.ask(RevokeKey { id, act }).await?;
                        say(&format!(
                            "the key `{}` is worthless now (a running server sees it within a second)",
                            key.name
                        ));
                        Ok(())
                    })
                }),
            )
        }
    }
}

async fn list(doors: crate::actors::db::messages::DbDoors, json: bool) -> CliResult {
    let keys = doors.read.list_keys.ask(ListKeys {}).await?;
    if json {
        say_json(&serde_json::to_value(&keys).unwrap_or_default());
        return Ok(());
    }
    let rows = keys
        .into_iter()
        .map(|key| {
            let state = if key.revoked_at.is_some() { "revoked" } else { "valid" };
            let others = if key.acts_for_others { "yes" } else { "no" };
            vec![
                key.id.to_string(),
                key.name,
                key.role.as_str().into(),
                key.user_id.to_string(),
                others.into(),
                state.into(),
            ]
        })
        .collect();
    say_table(&["id", "name", "role", "user", "others", "state"], rows);
    Ok(())
}
