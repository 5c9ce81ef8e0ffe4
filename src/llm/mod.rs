//! Providers of models: a table over two wire codecs, the scripted stand-in, and transcription.

mod anthropic;
mod attachments;
mod build;
mod http;
mod openai;
mod prices;
mod providers;
mod rehearsal;
mod stream;
mod transcription;

pub use build::{NoModel, build, rehearsal, worst};
pub use prices::{PriceFault, built_in as built_in_prices, with_overrides};
pub use providers::{Auth, Codec, PROVIDERS, ProviderKind};
pub use transcription::HttpTranscriber;

/// For fuzzing and corpus tests: the decoders, fed with arbitrary events.
pub mod decode {
    pub use super::{
        anthropic::AnthropicDecoder,
        openai::OpenAiDecoder,
        stream::{Decoder, decode_bytes},
    };
}
