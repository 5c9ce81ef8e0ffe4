//! Chat platforms, put together: for each that is listened to a reception, and the intake behind it.

use std::sync::Arc;

use crate::{
    actors::{
        kernel::Role,
        reception::{Kinds, Reception, ReceptionDoors, ReceptionKit, ReceptionSettings},
        root::ChildSpec,
    },
    config::{Chat, Config},
    domain::chat::{DISCORD, TELEGRAM},
    llm::HttpTranscriber,
    net::{BuildError, Clients},
    ports::{files::Files, platform::Platform, transcriber::Transcriber},
};

use super::{
    actors::{handle, spec},
    incoming,
    parts::{Doors, Parts},
};

/// Whoever listens to the world ends first.
const STAGE_LISTENING: u8 = 0;

/// What the actors of a platform are called.
fn names(platform: &str) -> Option<(&'static str, &'static str)> {
    match platform {
        TELEGRAM => Some(("reception_telegram", "intake_telegram")),
        DISCORD => Some(("reception_discord", "intake_discord")),
        _ => None,
    }
}

/// Who writes down what is said in recordings, when that is configured.
///
/// # Errors
/// When no way to them can be made.
pub(super) fn transcriber(
    config: &Config,
    files: &Arc<dyn Files>,
) -> Result<Option<Arc<dyn Transcriber>>, BuildError> {
    let Some(service) = config.transcription.clone() else { return Ok(None) };
    let transcriber = HttpTranscriber::new(service, &Clients::default(), Arc::clone(files))?;
    Ok(Some(Arc::new(transcriber)))
}

/// The actors of all platforms that are listened to.
pub(super) fn children(parts: &Arc<Parts>, doors: &Doors) -> Vec<ChildSpec> {
    let all: Vec<String> = parts.platforms.iter().map(|platform| platform.name().to_owned()).collect();
    let pairs = parts.platforms.iter().filter_map(|platform| {
        let (reception, intake) = names(platform.name())?;
        let chat = parts.config.chats.get(platform.name())?;
        let settings = settings(parts, platform.name(), chat, all.clone());
        // The reception counts, before it fetches files, each person for themselves, also in a group.
        let intake = incoming::intake(parts, doors, intake, platform.name(), 0);
        Some([intake, reception_of(parts, doors, platform, reception, settings)])
    });
    pairs.flatten().collect()
}

fn settings(parts: &Parts, name: &str, chat: &Chat, platforms: Vec<String>) -> ReceptionSettings {
    ReceptionSettings {
        rules: chat.rules.clone(),
        messages_per_minute: parts.config.channels.get(name).map_or(0, |channel| channel.messages_per_minute),
        max_file: chat.max_file,
        kinds: Kinds {
            photo: chat.photo_enabled,
            audio: chat.audio_enabled,
            video: chat.video_enabled,
            document: chat.document_enabled,
        },
        platforms,
    }
}

fn reception_of(
    parts: &Arc<Parts>,
    doors: &Doors,
    platform: &Arc<dyn Platform>,
    name: &'static str,
    settings: ReceptionSettings,
) -> ChildSpec {
    let (read, write) = (&doors.db.read, &doors.db.write);
    let kit = ReceptionKit {
        platform: Arc::clone(platform),
        doors: ReceptionDoors {
            offer: doors.offer[platform.name()].clone(),
            answers: doors.answers(),
            recognise: read.recognise.clone(),
            see: write.see_identity.clone(),
            ask_to_pair: write.ask_to_pair.clone(),
            answer_pairing: write.answer_pairing.clone(),
            refuse: write.refuse_identity.clone(),
            redeem: write.redeem_code.clone(),
            post: write.post_notice.clone(),
            put_file: write.put_file.clone(),
            position: read.position.clone(),
            set_position: write.set_position.clone(),
            fresh: doors.fresh.clone(),
        },
        settings,
        files: Arc::clone(&parts.coding.attachments),
        transcriber: parts.transcriber.clone(),
        clock: Arc::clone(&parts.base.clock),
    };
    let (placement, report) = (parts.base.placement.clone(), doors.reports[platform.name()].clone());
    spec(name, "reception", STAGE_LISTENING, move |life| {
        let (kit, vitals) = (kit.clone(), Arc::clone(life.vitals()));
        let addr = placement.start(Role::Here, move |_| Reception::new(life, kit));
        report.open(addr.clone().recipient(), vitals);
        handle(addr)
    })
}
