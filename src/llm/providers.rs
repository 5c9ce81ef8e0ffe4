//! The table of providers: where they are, what they speak, what they call things.

/// Which wire codec a provider speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Codec {
    /// OpenAI chat completions.
    OpenAi,
    /// Anthropic messages.
    Anthropic,
    /// None: the scripted stand-in.
    Rehearsal,
}

/// How a provider takes its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Auth {
    /// `Authorization: Bearer KEY`.
    Bearer,
    /// A header of this name.
    Header(&'static str),
}

/// One kind of provider.
#[derive(Debug, Clone, Copy)]
pub struct ProviderKind {
    /// Its name in the configuration.
    pub name: &'static str,
    /// What it speaks.
    pub codec: Codec,
    /// Where its API is; empty when the configuration must say.
    pub base_url: &'static str,
    /// The model it is asked for when the configuration names none.
    pub model: &'static str,
    /// How it takes its key.
    pub auth: Auth,
    /// What it calls the longest answer.
    pub max_tokens_field: &'static str,
}

const fn openai(name: &'static str, base_url: &'static str, model: &'static str) -> ProviderKind {
    ProviderKind {
        name,
        codec: Codec::OpenAi,
        base_url,
        model,
        auth: Auth::Bearer,
        max_tokens_field: "max_tokens",
    }
}

/// All kinds.
pub const PROVIDERS: &[ProviderKind] = &[
    openai("openrouter", "https://openrouter.ai/api/v1", "anthropic/claude-sonnet-4"),
    ProviderKind {
        max_tokens_field: "max_completion_tokens",
        ..openai("openai", "https://api.openai.com/v1", "gpt-4o")
    },
    ProviderKind {
        name: "anthropic",
        codec: Codec::Anthropic,
        base_url: "https://api.anthropic.com",
        model: "claude-sonnet-4-20250514",
        auth: Auth::Header("x-api-key"),
        max_tokens_field: "max_tokens",
    },
    openai("groq", "https://api.groq.com/openai/v1", "llama-3.3-70b-versatile"),
    openai("together", "https://api.together.xyz/v1", "meta-llama/Llama-3.3-70B-Instruct-Turbo"),
    openai("deepseek", "https://api.deepseek.com", "deepseek-chat"),
    openai("gemini", "https://generativelanguage.googleapis.com/v1beta/openai", "gemini-2.0-flash"),
    ProviderKind {
        auth: Auth::Header("api-key"),
        max_tokens_field: "max_completion_tokens",
        ..openai("azure", "", "gpt-4o")
    },
    openai("ollama", "http://localhost:11434/v1", "llama3.1"),
    openai("openai-compatible", "", "gpt-4o"),
    ProviderKind { codec: Codec::Rehearsal, ..openai("rehearsal", "", "rehearsal") },
];

/// The kind of this name.
pub(super) fn find(name: &str) -> Option<&'static ProviderKind> {
    PROVIDERS.iter().find(|kind| kind.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configuration_and_the_table_name_the_same_providers() {
        let table: Vec<&str> = PROVIDERS.iter().map(|kind| kind.name).collect();
        let key = crate::config::KEYS.iter().find(|key| key.path == "llm[].provider").unwrap();
        assert_eq!(key.kind, crate::config::Kind::Choice(&table.leak()[..]));
    }
}
