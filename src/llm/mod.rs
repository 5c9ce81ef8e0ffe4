//! Providers of models: a table over two wire codecs, and the scripted stand-in.

mod anthropic;
mod attachments;
mod build;
mod http;
mod openai;
mod prices;
mod providers;
mod rehearsal;
mod stream;

pub use build::{NoModel, build, rehearsal, worst};
pub use prices::{PriceFault, built_in as built_in_prices, with_overrides};
pub use providers::{Auth, Codec, PROVIDERS, ProviderKind};

/// For fuzzing and corpus tests: the decoders, fed with arbitrary events.
pub mod decode {
    pub use super::{
        anthropic::AnthropicDecoder,
        openai::OpenAiDecoder,
        stream::{Decoder, decode_bytes},
    };
}
