//! What is offered to somebody who types behind a command: they are recognised as whoever writes is, and strangers are
//! offered nothing.

use futures_util::future::BoxFuture;

use crate::{
    actors::{
        db::messages::{DbError, Recognise},
        intake::messages::Suggest,
        kernel::Door,
    },
    domain::{
        gate::{self, Comer, Decision, Rules},
        identity::{self, Recognised},
        offer::Offered,
    },
    ports::platform::{Completer, Typing},
};

/// Asks the intake, for those who may write.
#[derive(Clone)]
pub struct Offers {
    /// The channel.
    pub channel: &'static str,
    /// Who may write there.
    pub rules: Rules,
    /// Who types.
    pub recognise: Door<Recognise>,
    /// The channel's intake.
    pub suggest: Door<Suggest>,
}

impl Offers {
    /// What is asked for this person; `None` for somebody who may not write.
    fn asked(&self, typing: Typing, known: &Recognised) -> Option<Suggest> {
        let Typing { sender, place, group, command, option, typed } = typing;
        let (identity, parent) = (known.identity.as_ref(), known.parent.as_deref());
        let comer = Comer { sender: &sender, chat: &place.chat, parent, group, addressed: true, identity };
        let Decision::LetIn(role) = gate::decide(&self.rules, comer) else { return None };
        let by = match identity {
            Some(identity) => identity.user.clone(),
            None => identity::own_user(self.channel, &sender.id).ok()?,
        };
        let user = match group {
            true => identity::group_user(self.channel, &place.chat).ok()?,
            false => by.clone(),
        };
        Some(Suggest { user, by, role, command, option, typed })
    }
}

impl Completer for Offers {
    fn complete(&self, typing: Typing) -> BoxFuture<'static, Vec<Offered>> {
        let offers = self.clone();
        Box::pin(async move {
            let recognise = Recognise {
                channel: offers.channel.to_owned(),
                external: typing.sender.id.clone(),
                name: typing.sender.name.clone(),
                chat: typing.place.chat.clone(),
                incoming: String::new(),
            };
            let asked = match offers.recognise.ask(recognise).await {
                Ok(known) => offers.asked(typing, &known),
                Err::<_, DbError>(error) => {
                    tracing::debug!(%error, "nothing can be offered to somebody who types");
                    None
                }
            };
            match asked {
                Some(asked) => offers.suggest.send(asked).await.unwrap_or_default(),
                None => Vec::new(),
            }
        })
    }
}
