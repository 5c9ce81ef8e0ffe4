//! Where the keeper of a run and its work meet: events one way, orders the other.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::{mpsc, oneshot};

use super::Stop;
use crate::domain::engine::{Answer, EngineEvent};

/// One run's desk.
#[derive(Clone)]
pub(super) struct Desk {
    pub(super) stop: Stop,
    events: mpsc::Sender<EngineEvent>,
    steering: Arc<Mutex<VecDeque<String>>>,
    questions: Arc<Mutex<BTreeMap<String, oneshot::Sender<Answer>>>>,
}

impl Desk {
    pub(super) fn new(events: mpsc::Sender<EngineEvent>) -> Self {
        Self { stop: Stop::new(), events, steering: Arc::default(), questions: Arc::default() }
    }

    /// A message into the work; it is seen before the model is asked again.
    pub(super) fn steer(&self, text: String) {
        self.steering.lock().unwrap_or_else(PoisonError::into_inner).push_back(text);
    }

    /// The answer to a question.
    pub(super) fn answer(&self, question: &str, answer: Answer) {
        let asked = self.questions.lock().unwrap_or_else(PoisonError::into_inner).remove(question);
        if let Some(asked) = asked {
            // Nobody waits for it any more when the work was stopped meanwhile.
            let _ = asked.send(answer);
        }
    }

    /// The way that the answer to a question will come.
    pub(super) fn ask(&self, question: &str) -> oneshot::Receiver<Answer> {
        let (asked, answer) = oneshot::channel();
        let mut questions = self.questions.lock().unwrap_or_else(PoisonError::into_inner);
        questions.insert(question.to_owned(), asked);
        answer
    }

    /// What was said into the work since this was asked last.
    pub(super) fn said(&self) -> VecDeque<String> {
        std::mem::take(&mut *self.steering.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// An event that must arrive.
    pub(super) async fn tell(&self, event: EngineEvent) {
        // The keeper lives as long as the work, or the work is dropped with it.
        let _ = self.events.send(event).await;
    }

    /// An event that is only to look at.
    pub(super) fn show(&self, event: EngineEvent) {
        // A full channel loses a piece that is only to look at; the whole follows.
        let _ = self.events.try_send(event);
    }
}
