//! What somebody brought: fetched piece by piece within bounds; recordings become words. What is left out is said.

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};

use crate::{
    actors::db::messages::{DbError, PutFile},
    domain::{
        chat::{Failure, Incoming, Media, RemoteFile},
        ids::UserId,
        message::FileRef,
        outbound::Body,
        retry::backoff,
    },
    ports::{files::KeepError, platform::NotNow},
};

use super::kit::Desk;

/// Most files with one message.
const MOST_FILES: usize = 10;
/// Longest time in which all files of a message are fetched and what is said in them is written down: so long its chat
/// waits.
const LONGEST: Duration = Duration::from_secs(5 * 60);
/// How often fetching is tried.
const TRIES: u32 = 3;
/// Longest wait between two tries, in milliseconds.
const LONGEST_WAIT: u64 = 30_000;
const MIB: u64 = 1024 * 1024;

/// What came with a message.
#[derive(Debug, Default)]
pub(super) struct Brought {
    /// Files that lie in the home.
    pub(super) files: Vec<FileRef>,
    /// Words that were spoken.
    spoken: Vec<String>,
    /// What was left out and why, for the model and for whoever sent it.
    pub(super) left_out: Vec<String>,
}

impl Brought {
    /// The words of the message, with those that were spoken, and with what was left out.
    pub(super) fn words(&self, text: &str) -> String {
        let spoken = self.spoken.iter().map(|words| format!("(spoken) {words}"));
        let notes = self.left_out.iter().map(|note| format!("[{note}]"));
        let first = (!text.is_empty()).then(|| text.to_owned());
        first.into_iter().chain(spoken).chain(notes).collect::<Vec<_>>().join("\n")
    }

    /// The same for whoever sent it.
    pub(super) fn notice(&self) -> Body {
        Body::Notice { title: "Not all was taken".into(), body: self.left_out.join("\n"), facts: Vec::new() }
    }
}

/// Why a file is not there.
enum Missing {
    /// It is left out; why.
    Out(String),
    /// Nobody wants it any more.
    Unwanted,
    /// It is our own fault: it has to come again.
    NotNow(String),
}

/// Fetches what came with a message, for this user. `None` when it was withdrawn meanwhile.
pub(super) async fn fetch(
    desk: &Desk,
    incoming: &Incoming,
    user: &UserId,
    files: &[RemoteFile],
) -> Result<Option<Brought>, NotNow> {
    let mut brought = Brought::default();
    if files.is_empty() {
        return Ok(Some(brought));
    }
    let place = incoming.place.name();
    let unwanted = desk.fetches(&place);
    let (mut outcome, until) = (Ok(true), Instant::now() + LONGEST);
    for (at, file) in files.iter().enumerate() {
        let taking = async {
            let most = check(desk, at, file).map_err(Missing::Out)?;
            let kept = keep(desk, user, file, most, until).await?;
            take_along(desk, file, kept, until, &mut brought).await;
            Ok(())
        };
        let taken = tokio::select! {
            biased;
            () = unwanted.cancelled() => Err(Missing::Unwanted),
            taken = taking => taken,
        };
        match taken {
            Ok(()) => {}
            Err(Missing::Out(why)) => brought.left_out.push(why),
            Err(Missing::Unwanted) if desk.ending.get() => outcome = Err(NotNow("shutting down".into())),
            Err(Missing::Unwanted) => outcome = Ok(false),
            Err(Missing::NotNow(why)) => outcome = Err(NotNow(why)),
        }
        if !matches!(outcome, Ok(true)) {
            break;
        }
    }
    desk.fetched(&place);
    outcome.map(|wanted| wanted.then_some(brought))
}

/// How large a file may be, or why it is left out.
fn check(desk: &Desk, at: usize, file: &RemoteFile) -> Result<u64, String> {
    let name = shown(file);
    let settings = &desk.kit.settings;
    let (taken, kind) = settings.kinds.takes(file.media);
    if !taken {
        return Err(format!("{name} was left out: {kind} are not taken here"));
    }
    if at >= MOST_FILES {
        return Err(format!("{name} was left out: at most {MOST_FILES} files are taken at a time"));
    }
    let most = settings.max_file.min(desk.kit.platform.abilities().max_download);
    match file.size {
        Some(size) if size > most => Err(too_large(&name, most)),
        _ => Ok(most),
    }
}

/// A file's name, as it may stand in a sentence.
fn shown(file: &RemoteFile) -> String {
    let plain: String =
        file.name.chars().filter(|c| !c.is_control() && !"[]\"".contains(*c)).take(80).collect();
    format!("the file \"{plain}\"")
}

fn too_large(name: &str, most: u64) -> String {
    format!("{name} was left out: files of at most {} MiB are taken here", most / MIB)
}

async fn keep(
    desk: &Desk,
    user: &UserId,
    file: &RemoteFile,
    most: u64,
    until: Instant,
) -> Result<FileRef, Missing> {
    let mut tries = 0;
    let kept = loop {
        tries += 1;
        let wait = match timeout_at(until, once(desk, file, most)).await {
            Ok(Ok(kept)) => break kept,
            Ok(Err(Again::Never(missing))) => return Err(missing),
            Ok(Err(Again::After(wait))) => wait,
            Err(_) => return Err(Missing::Out(format!("{} was left out: it takes too long", shown(file)))),
        };
        if tries >= TRIES {
            return Err(Missing::Out(format!("{} was left out: it could not be fetched", shown(file))));
        }
        let wait = wait.max(backoff(tries, 500, LONGEST_WAIT, desk.kit.clock.dice())).min(LONGEST_WAIT);
        sleep(Duration::from_millis(wait)).await;
    };
    let put = PutFile { user: user.clone(), file: kept.clone(), now: desk.kit.clock.now() };
    let noted = desk.kit.doors.put_file.ask(put).await;
    noted.map_err(|error: DbError| Missing::NotNow(error.to_string()))?;
    Ok(kept)
}

/// Whether fetching once more may help.
enum Again {
    /// Not before so many milliseconds.
    After(u64),
    Never(Missing),
}

async fn once(desk: &Desk, file: &RemoteFile, most: u64) -> Result<FileRef, Again> {
    let name = shown(file);
    let out = |why: String| Again::Never(Missing::Out(why));
    let bytes = desk.kit.platform.fetch(file).await.map_err(|failure| match failure {
        Failure::Slow { after_ms, .. } => Again::After(after_ms),
        Failure::Later(_) | Failure::Unknown(_) => Again::After(0),
        Failure::TooLarge(_) => out(too_large(&name, most)),
        Failure::Markup(_)
        | Failure::Unchanged
        | Failure::NoMessage(_)
        | Failure::NoChat(_)
        | Failure::NoFiles(_)
        | Failure::NoToken(_)
        | Failure::Refused(_) => out(format!("{name} was left out: the platform does not give it out")),
    })?;
    let media_type = media_type(&file.media_type);
    let kept = desk.kit.files.keep(file.name.clone(), media_type, bytes, most).await;
    kept.map_err(|error| match error {
        KeepError::TooLarge { .. } => out(too_large(&name, most)),
        // A connection that breaks looks the same as a disk that is full; both may pass.
        KeepError::Io(error) => {
            tracing::warn!(%error, "a file from a chat platform cannot be kept");
            Again::After(0)
        }
    })
}

/// A media type that can stand in a header.
fn media_type(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/+-.".contains(c);
    let text = text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let fits = text.split('/').count() == 2 && text.chars().all(plain) && text.len() <= 100;
    if fits { text } else { "application/octet-stream".into() }
}

/// Puts a file to the others; what is said in a recording takes its place.
async fn take_along(desk: &Desk, remote: &RemoteFile, file: FileRef, until: Instant, brought: &mut Brought) {
    let is_sound = matches!(remote.media, Media::Voice | Media::Audio);
    let Some(transcriber) = desk.kit.transcriber.as_ref().filter(|_| is_sound) else {
        return brought.files.push(file);
    };
    let written = timeout_at(until, transcriber.transcribe(&file)).await;
    match written.unwrap_or_else(|_| Err("it takes too long".into())) {
        Ok(words) if words.trim().is_empty() => {
            brought.left_out.push(format!("nothing could be understood in {}", shown(remote)));
        }
        Ok(words) => brought.spoken.push(words.trim().to_owned()),
        Err(why) => {
            brought.left_out.push(format!("{} could not be written down: {why}", shown(remote)));
            brought.files.push(file);
        }
    }
}
