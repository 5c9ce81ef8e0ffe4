//! A provider of models, whatever it speaks.

use std::sync::Arc;

use futures_util::future::BoxFuture;

use crate::domain::{
    model::{ModelError, ModelRequest, Reply},
    outbound::Progress,
    price::Price,
};

/// Takes the pieces of an answer as they come. Called often; must not block.
pub type ProgressSink = Arc<dyn Fn(Progress) + Send + Sync>;

/// What a provider takes beside text.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Takes {
    /// Pictures.
    pub photo: bool,
    /// Sound.
    pub audio: bool,
    /// Films.
    pub video: bool,
    /// Documents.
    pub document: bool,
    /// Tools.
    pub tools: bool,
}

impl Takes {
    /// True when a file of this media type is taken.
    pub fn media(&self, media_type: &str) -> bool {
        match media_type.split('/').next().unwrap_or_default() {
            "image" => self.photo,
            "audio" => self.audio,
            "video" => self.video,
            _ => self.document,
        }
    }
}

/// One configured provider.
pub trait Model: Send + Sync {
    /// Its name in the configuration.
    fn name(&self) -> &str;

    /// The model that it asks.
    fn model(&self) -> &str;

    /// What it takes.
    fn takes(&self) -> Takes;

    /// What its tokens cost; `None` when the price list does not know.
    fn price(&self) -> Option<Price>;

    /// Most calls at a time.
    fn concurrency(&self) -> u32;

    /// Most tokens of one answer, for the reservation of a budget.
    fn max_output(&self) -> u32;

    /// Asks once, without trying again. Dropping the future hangs up.
    fn ask(
        &self,
        request: Arc<ModelRequest>,
        progress: ProgressSink,
    ) -> BoxFuture<'static, Result<Reply, ModelError>>;
}
