//! What coding tasks are told of in: a message that shows where one stands, and under it, where many read along, a thread.

use crate::{
    actors::{
        db::messages::{OpenTopic, TopicOf},
        kernel::fault,
    },
    domain::{
        chat::{Content, Failure, Place, Post},
        identity::is_group,
        outbound::{OutboxRow, Sent},
        posting::{self, Topic, TopicPlace},
    },
};

use super::{
    courier::{Courier, NotPosted},
    waits::Tries,
};

impl Courier {
    /// Shows where a task stands, in the one message that does. Platforms that have no threads are told of it by other
    /// messages.
    pub(super) async fn stand(
        &self,
        row: &OutboxRow,
        topic: Topic,
        content: Content,
    ) -> Result<(), NotPosted> {
        if !self.platform.abilities().threads {
            return Ok(());
        }
        match self.told_in(row, &topic).await? {
            Some(TopicPlace { head: Some(head), .. }) => {
                self.change(&row.message.conversation, &head, content).await.map(drop)
            }
            // It is told of without such a message.
            Some(TopicPlace { head: None, .. }) => Ok(()),
            None => self.open(row, &topic, content).await.map(drop),
        }
    }

    /// The thread about a task; opened under a message that names it, when there is none.
    pub(super) async fn thread(&self, row: &OutboxRow, topic: Topic) -> Result<Place, NotPosted> {
        if let Some(known) = self.told_in(row, &topic).await? {
            return Ok(known.place);
        }
        self.open(row, &topic, posting::headline(&topic, self.flavor)).await
    }

    async fn told_in(&self, row: &OutboxRow, topic: &Topic) -> Result<Option<TopicPlace>, NotPosted> {
        let mut tries = Tries::default();
        loop {
            let ask = TopicOf { conversation: row.message.conversation.clone(), topic: topic.id.clone() };
            match self.doors.topic_of.ask(ask).await {
                Ok(known) => return Ok(known),
                Err(error) => self.wait(&mut tries, error.to_string()).await?,
            }
        }
    }

    /// Posts the message that shows where it stands, and opens a thread under it where many read along. A second time
    /// both are known again by the platform.
    async fn open(&self, row: &OutboxRow, topic: &Topic, content: Content) -> Result<Place, NotPosted> {
        let conversation = row.message.conversation.clone();
        let here = Place::of(&conversation);
        let head = match self.head(row, &here, content).await {
            Ok(head) => Some(head),
            Err(Sent::Refused(why)) => {
                tracing::warn!(why, "a task is told of without a message that shows where it stands");
                None
            }
            Err(other) => return Err(other),
        };
        let place = match &head {
            Some(head) if is_group(&conversation.user()) => self.under(&here, head, &topic.title).await?,
            _ => here,
        };
        let mut tries = Tries::default();
        loop {
            let at = TopicPlace { place: place.clone(), head: head.clone() };
            let note = OpenTopic { conversation: conversation.clone(), topic: topic.id.clone(), at };
            match self.doors.open_topic.ask(note).await {
                Ok(()) => return Ok(place),
                Err(error) => self.wait(&mut tries, error.to_string()).await?,
            }
        }
    }

    async fn head(&self, row: &OutboxRow, here: &Place, mut content: Content) -> Result<String, NotPosted> {
        let (mut tries, mut is_plain) = (Tries::default(), false);
        loop {
            self.turn(here).await?;
            let post = Post {
                place: here.clone(),
                content: content.clone(),
                key: format!("{}-t", row.id),
                answers: None,
                reply_to: None,
                silent: true,
                draft: false,
            };
            fault::point("before_head", self.platform.name());
            let posted = self.platform.post(post).await;
            fault::point("after_head", self.platform.name());
            match posted {
                Ok(message) => return Ok(message),
                Err(Failure::Markup(why)) if !is_plain => {
                    tracing::warn!(why, "a message goes out as plain text: its markup is refused");
                    is_plain = true;
                    content.markup.clear();
                }
                // The platform knows the key again.
                Err(Failure::Unknown(why)) => self.wait(&mut tries, why).await?,
                Err(failure) => self.bear(here, failure, &mut tries).await?,
            }
        }
    }

    /// The thread under a message; the chat itself where none can be opened.
    async fn under(&self, here: &Place, head: &str, title: &str) -> Result<Place, NotPosted> {
        let mut tries = Tries::default();
        loop {
            self.turn(here).await?;
            fault::point("before_thread", self.platform.name());
            let opened = self.platform.thread(here, head, title).await;
            fault::point("after_thread", self.platform.name());
            match opened {
                Ok(place) => return Ok(place),
                Err(Failure::Unknown(why)) => self.wait(&mut tries, why).await?,
                Err(
                    failure @ (Failure::Slow { .. }
                    | Failure::Later(_)
                    | Failure::NoToken(_)
                    | Failure::NoChat(_)),
                ) if !Self::is_hopeless(&tries) => self.bear(here, failure, &mut tries).await?,
                Err(failure) => {
                    tracing::warn!(%failure, "a task is told of in its channel: no thread can be opened there");
                    return Ok(here.clone());
                }
            }
        }
    }
}
