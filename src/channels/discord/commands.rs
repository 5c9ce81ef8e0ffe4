//! The menu as Discord takes it: slash commands with their options
//! (<https://docs.discord.com/developers/interactions/application-commands>). Pure.

use serenity::{
    builder::{CreateAutocompleteResponse, CreateCommand, CreateCommandOption, CreateInteractionResponse},
    model::application::{CommandOptionType, CommandType, InstallationContext, InteractionContext},
};

use crate::domain::{
    menu::{CommandSpec, OptionKind, OptionSpec},
    offer::{self, Offered},
};

/// Most words that are offered, and the longest of them, in characters.
const OFFERS: usize = offer::MOST;
const OFFER: usize = 100;

/// All commands, in place of those that were there before.
pub(super) fn commands(menu: &[CommandSpec]) -> Vec<CreateCommand> {
    menu.iter()
        .map(|spec| {
            let options = spec.options.iter().map(option).collect();
            CreateCommand::new(spec.name)
                .kind(CommandType::ChatInput)
                .description(spec.purpose)
                .set_options(options)
                // Installed in guilds, not by single people who take it along to wherever they are.
                .integration_types(vec![InstallationContext::Guild])
                .contexts(vec![InteractionContext::Guild, InteractionContext::BotDm])
        })
        .collect()
}

fn option(spec: &OptionSpec) -> CreateCommandOption {
    let kind = match spec.kind {
        OptionKind::File => CommandOptionType::Attachment,
        OptionKind::Words | OptionKind::OneOf(_) | OptionKind::Offered => CommandOptionType::String,
    };
    let option = CreateCommandOption::new(kind, spec.name, spec.purpose).required(spec.required);
    match spec.kind {
        OptionKind::OneOf(words) => {
            words.iter().take(OFFERS).fold(option, |option, word| option.add_string_choice(*word, *word))
        }
        OptionKind::Offered => option.set_autocomplete(true),
        OptionKind::Words | OptionKind::File => option,
    }
}

/// Words that are offered. A longer one could not be sent back whole, so it is left out.
pub(super) fn offer(words: Vec<Offered>) -> CreateInteractionResponse {
    let fits = |words: &str| (1..=OFFER).contains(&words.chars().count());
    let offers = words.into_iter().filter(|word| fits(&word.value) && fits(&word.label)).take(OFFERS);
    let response = offers.fold(CreateAutocompleteResponse::new(), |response, word| {
        response.add_string_choice(word.label, word.value)
    });
    CreateInteractionResponse::Autocomplete(response)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::menu::MENU;

    #[test]
    fn options_are_told_with_what_may_be_typed() {
        let value = serde_json::to_value(commands(MENU)).unwrap();
        let all = value.as_array().unwrap();
        assert_eq!(all.len(), MENU.len());
        for command in all {
            assert_eq!((&command["integration_types"], &command["contexts"]), (&json!([0]), &json!([0, 1])));
        }
        let task = all.iter().find(|command| command["name"] == "task").unwrap();
        let told = task["options"].as_array().unwrap().iter();
        let told: Vec<_> = told
            .map(|option| json!([option["name"], option["type"], option["required"], option["autocomplete"]]))
            .collect();
        let wanted = [
            json!(["project", 3, true, true]),
            json!(["instruction", 3, true, false]),
            json!(["file", 11, false, false]),
        ];
        assert_eq!(told, wanted);
        let how = all.iter().find(|command| command["name"] == "verbosity").unwrap();
        assert_eq!(how["options"][0]["choices"][0], json!({"name": "quiet", "value": "quiet"}));
    }

    #[test]
    fn at_most_25_words_are_offered_and_only_whole_ones() {
        let word = |n| if n == 3 { "x".repeat(101) } else { format!("w{n}") };
        let words =
            (0..40).map(|n| Offered { value: word(n), label: format!("The word {}", word(n)) }).collect();
        let value = serde_json::to_value(offer(words)).unwrap();
        let choices = value["data"]["choices"].as_array().unwrap();
        assert_eq!((value["type"].as_u64(), choices.len()), (Some(8), 25));
        assert_eq!(choices[3], json!({"name": "The word w4", "value": "w4"}));
    }
}
