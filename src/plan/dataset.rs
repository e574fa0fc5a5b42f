//! Prompts from files. The text is read elsewhere; here it becomes items.

use serde::Deserialize;

use crate::scenario::DatasetFormat;

/// One prompt of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// System message, if the item has one.
    pub system: Option<String>,
    /// The user's first turn.
    pub prompt: String,
    /// Answer tokens that the item asks for.
    pub output_tokens: Option<u32>,
}

/// A file that does not hold what its format says.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DatasetError {
    /// One line or entry is wrong.
    #[error("`{file}`, {place}: {message}\nhint: {hint}")]
    Entry {
        /// The file's name.
        file: String,
        /// `line 3` or `entry 17`.
        place: String,
        /// What is wrong.
        message: String,
        /// The forms that are right.
        hint: &'static str,
    },
    /// Nothing usable.
    #[error("`{file}` holds no prompts\nhint: check the path and `format`")]
    Empty {
        /// The file's name.
        file: String,
    },
    /// A trace without a request.
    #[error("`{file}` holds no requests\nhint: check the path; a trace has a JSON object a line")]
    NoRequests {
        /// The file's name.
        file: String,
    },
}

const JSONL_HINT: &str = "each line is an object with `prompt`, `text` or `messages`, and optionally `output_tokens`";
const SHAREGPT_HINT: &str =
    "a ShareGPT file is a JSON array of objects with `conversations`, a list of `{\"from\", \"value\"}`";

/// Reads the items of `text`; `file` is named in errors.
///
/// Conversations without a user turn are passed over, as are empty lines.
pub fn parse(file: &str, text: &str, format: DatasetFormat) -> Result<Vec<Item>, DatasetError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let items = match format {
        DatasetFormat::Text => text
            .lines()
            .filter(|line| !line.trim().is_empty())
            .map(|line| Item { system: None, prompt: line.trim().to_owned(), output_tokens: None })
            .collect(),
        DatasetFormat::Jsonl => jsonl(file, text)?,
        DatasetFormat::Sharegpt => sharegpt(file, text)?,
        // A trace has lengths but no texts; `parse_trace` reads it.
        DatasetFormat::Mooncake => Vec::new(),
    };
    if items.is_empty() { Err(DatasetError::Empty { file: file.to_owned() }) } else { Ok(items) }
}

#[derive(Deserialize)]
struct Line {
    #[serde(alias = "text", alias = "text_input", alias = "question")]
    prompt: Option<String>,
    messages: Option<Vec<Message>>,
    #[serde(alias = "system_prompt")]
    system: Option<String>,
    #[serde(alias = "max_tokens", alias = "output_length")]
    output_tokens: Option<u32>,
}

#[derive(Deserialize)]
struct Message {
    #[serde(alias = "from")]
    role: String,
    #[serde(alias = "value")]
    content: String,
}

fn jsonl(file: &str, text: &str) -> Result<Vec<Item>, DatasetError> {
    let mut items = Vec::new();
    for (i, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let fail = |message: String| DatasetError::Entry {
            file: file.to_owned(),
            place: format!("line {}", i + 1),
            message,
            hint: JSONL_HINT,
        };
        let line: Line = serde_json::from_str(line).map_err(|e| fail(format!("not such an object: {e}")))?;
        let (system, prompt) = match (line.prompt, line.messages) {
            (Some(prompt), None) => (line.system, Some(prompt)),
            (None, Some(messages)) => {
                let of = |role: &str| messages.iter().find(|m| m.role == role).map(|m| m.content.clone());
                (line.system.or_else(|| of("system")), of("user"))
            }
            (None, None) => return Err(fail("no `prompt`, `text` or `messages`".into())),
            (Some(_), Some(_)) => return Err(fail("both `prompt` and `messages`".into())),
        };
        if let Some(prompt) = prompt.filter(|p| !p.trim().is_empty()) {
            items.push(Item { system, prompt, output_tokens: line.output_tokens });
        }
    }
    Ok(items)
}

#[derive(Deserialize)]
struct Shared {
    #[serde(alias = "conversation")]
    conversations: Vec<Message>,
}

fn sharegpt(file: &str, text: &str) -> Result<Vec<Item>, DatasetError> {
    let fail = |place: String, message: String| DatasetError::Entry {
        file: file.to_owned(),
        place,
        message,
        hint: SHAREGPT_HINT,
    };
    let entries: Vec<Shared> = serde_json::from_str(text)
        .map_err(|e| fail(format!("line {}", e.line()), format!("not a ShareGPT file: {e}")))?;
    Ok(entries
        .into_iter()
        .filter_map(|entry| {
            let human = |m: &&Message| matches!(m.role.as_str(), "human" | "user");
            let turn = entry.conversations.iter().find(human)?;
            (!turn.content.trim().is_empty()).then(|| Item {
                system: None,
                prompt: turn.content.clone(),
                output_tokens: None,
            })
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prompts(text: &str, format: DatasetFormat) -> Vec<String> {
        parse("f", text, format).unwrap().into_iter().map(|item| item.prompt).collect()
    }

    #[test]
    fn each_format() {
        assert_eq!(prompts("one\n\n two \n", DatasetFormat::Text), ["one", "two"]);
        assert_eq!(
            prompts(
                "{\"prompt\":\"a\"}\n{\"text\":\"b\",\"output_tokens\":5}\n\
                 {\"messages\":[{\"role\":\"system\",\"content\":\"s\"},{\"role\":\"user\",\"content\":\"c\"}]}",
                DatasetFormat::Jsonl
            ),
            ["a", "b", "c"]
        );
        assert_eq!(
            prompts(
                r#"[{"id":"1","conversations":[{"from":"gpt","value":"x"}]},
                    {"id":"2","conversations":[{"from":"human","value":"hi"},{"from":"gpt","value":"y"}]}]"#,
                DatasetFormat::Sharegpt
            ),
            ["hi"]
        );
    }

    #[test]
    fn what_is_wrong_is_named_with_its_place() {
        let error = |text, format| parse("chats.jsonl", text, format).unwrap_err().to_string();
        assert!(
            error("{\"prompt\":\"a\"}\n{\"promt\":\"b\"}", DatasetFormat::Jsonl)
                .contains("`chats.jsonl`, line 2: no `prompt`")
        );
        assert!(error("{\"prompt\":1}", DatasetFormat::Jsonl).contains("line 1"));
        assert!(error("{}", DatasetFormat::Sharegpt).contains("not a ShareGPT file"));
        assert!(error("\n\n", DatasetFormat::Text).contains("holds no prompts"));
    }
}
