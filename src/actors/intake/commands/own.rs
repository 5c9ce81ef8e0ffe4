//! Commands about what a person chooses for themselves: their model, how much they see, their accounts.

use crate::{
    actors::{
        db::messages::*,
        llm_pool::messages::{ProviderStatus, Providers},
    },
    domain::{
        access::Role,
        chat::PLATFORMS,
        identity::{self, NewCode},
        job::Verbosity,
        records::{Preference, User},
    },
};

use super::{Ask, sorry};

/// The word that takes a choice back.
pub(super) const ANY: &str = "default";

async fn prefer(ask: &Ask<'_>, preference: Preference) -> Result<User, DbError> {
    let user = ask.offer.message.user.clone();
    ask.doors.prefer.ask(SetPreference { user, preference, now: ask.clock.now() }).await
}

async fn me(ask: &Ask<'_>) -> Result<Option<User>, DbError> {
    ask.doors.user.ask(GetUser { user: ask.offer.message.user.clone() }).await
}

pub(super) async fn model(ask: &Ask<'_>, name: Option<String>) -> String {
    let providers = match ask.doors.providers.send(Providers).await {
        Ok(providers) => providers,
        Err(error) => return sorry(error),
    };
    let Some(name) = name else {
        return match me(ask).await {
            Ok(me) => models(&providers, me.and_then(|me| me.model).as_deref()),
            Err(error) => sorry(error),
        };
    };
    if name.eq_ignore_ascii_case(ANY) {
        return match prefer(ask, Preference::Model(None)).await {
            Ok(_) => "Any of the models answers you from now on.".into(),
            Err(error) => sorry(error),
        };
    }
    let meant = |provider: &&ProviderStatus| {
        provider.model.eq_ignore_ascii_case(&name) || provider.name.eq_ignore_ascii_case(&name)
    };
    let Some(provider) = providers.iter().find(meant) else {
        return format!("There is no model `{name}`.\n{}", models(&providers, None));
    };
    let chosen = if provider.model.eq_ignore_ascii_case(&name) { &provider.model } else { &provider.name };
    match prefer(ask, Preference::Model(Some(chosen.clone()))).await {
        Ok(_) => format!("{chosen} answers you from now on; /model {ANY} takes that back."),
        Err(error) => sorry(error),
    }
}

fn models(providers: &[ProviderStatus], chosen: Option<&str>) -> String {
    let line = |provider: &ProviderStatus| {
        let is_chosen = chosen.is_some_and(|chosen| chosen == provider.model || chosen == provider.name);
        let mark = if is_chosen { " ← answers you" } else { "" };
        let state = if provider.state == "up" { String::new() } else { format!(" [{}]", provider.state) };
        format!("{} ({}){state}{mark}", provider.model, provider.name)
    };
    let lines: Vec<String> = providers.iter().map(line).collect();
    let first = match chosen {
        _ if lines.is_empty() => return "No model is configured.".into(),
        Some(chosen) if !lines.iter().any(|line| line.ends_with("you")) => {
            format!("You chose {chosen}, which is not there any more: any of these answers you.")
        }
        Some(_) => format!("You chose one; /model {ANY} takes that back."),
        None => "Any of these answers you; /model NAME chooses one.".into(),
    };
    format!("{first}\n{}", lines.join("\n"))
}

pub(super) async fn verbosity(ask: &Ask<'_>, level: Option<Verbosity>) -> String {
    let said = |level: Verbosity| match level {
        Verbosity::Quiet => "quiet: you see answers, and no work",
        Verbosity::Normal => "normal: you see in short what I do",
        Verbosity::Verbose => "verbose: you see all that I do",
    };
    let outcome = match level {
        Some(level) => prefer(ask, Preference::Verbosity(Some(level))).await.map(|_| level),
        None => me(ask).await.map(|me| me.and_then(|me| me.verbosity).unwrap_or_default()),
    };
    match outcome {
        Ok(level) => format!("It is {}.", said(level)),
        Err(error) => sorry(error),
    }
}

/// A code that joins another account to this user. Codes are shown in chats that nobody else reads.
pub(super) async fn link(ask: &Ask<'_>, with_code: bool) -> String {
    let message = &ask.offer.message;
    if message.speaker.is_some() {
        return "Not here, where others read along: write /link to me alone.".into();
    }
    if with_code {
        return "Codes are read on chat platforms, from the account that is to be joined. Write it to me there, alone."
            .into();
    }
    // Whoever speaks over REST may speak for others: a code from there makes nobody an owner.
    let on_platform = PLATFORMS.contains(&message.channel.as_str());
    let role = if on_platform { ask.offer.role } else { ask.offer.role.min(Role::Developer) };
    let code = match ask.clock.secret() {
        Ok(secret) => identity::code(&secret),
        Err(error) => return sorry(error),
    };
    let user = message.user.clone();
    let actor = format!("user:{user}");
    let new = NewCode { code: code.clone(), user, role, actor, now: ask.clock.now() };
    match ask.doors.issue_code.ask(IssueCode { code: new }).await {
        Ok(()) => format!(
            "Write this to me from your other account, in a chat with me alone:\n/link {}\nIt holds for 10 minutes and \
             works once. Give it to nobody: whoever shows it is you.",
            identity::shown(&code)
        ),
        Err::<_, DbError>(error) => sorry(error),
    }
}
