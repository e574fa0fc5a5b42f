//! The event that nearly every event of a stream is: like the one before but for its text.
//!
//! Once a decoder has shown where in an event the text stands, the next one needs no decoding if it is the same to the
//! byte before and behind that place. What is learnt is tried out on the decoder first, so that nothing else than the
//! text can depend on what stands there.

use super::decode::{Decode, Message, Part};

/// What stands around the text of a stream's events.
#[derive(Debug, Default)]
pub(super) struct Template {
    before: String,
    behind: String,
    /// Whether `before` and `behind` hold something.
    known: bool,
    /// Events in a row that were learnt from in vain: of a stream that numbers its events nothing can be learnt.
    vain: u32,
}

/// Stands for a text that no event has.
const PROBE: &str = "tokpace template probe";

/// Learning costs a second decoding.
const MOST_VAIN: u32 = 8;

impl Template {
    /// The text of an event that is like the one before.
    pub(super) fn text<'a>(&mut self, data: &'a str) -> Option<&'a str> {
        if !self.known {
            return None;
        }
        let text = data.strip_prefix(self.before.as_str())?.strip_suffix(self.behind.as_str())?;
        // An empty text is none, and what has an escape needs decoding. No control character may stand in a JSON text.
        let plain = !text.is_empty() && text.bytes().all(|byte| byte >= b' ' && byte != b'"' && byte != b'\\');
        if plain {
            self.vain = 0;
        }
        plain.then_some(text)
    }

    /// Learns from an event without a special name that was decoded.
    pub(super) fn learn(&mut self, data: &str, part: &Part, decode: Decode) {
        if self.vain >= MOST_VAIN || part.answer.is_empty() || *part != answer(&part.answer) {
            return;
        }
        self.vain += 1;
        self.known = false;
        let quoted = format!("\"{}\"", part.answer);
        let Some(at) = data.find(&quoted) else { return };
        let (before, behind) = (&data[..=at], &data[at + quoted.len() - 1..]);
        let probe = format!("{before}{PROBE}{behind}");
        if decode("message", &probe) == Ok(Message::Part(answer(PROBE))) {
            self.before.clear();
            self.before.push_str(before);
            self.behind.clear();
            self.behind.push_str(behind);
            self.known = true;
        }
    }
}

/// A part that says nothing else.
fn answer(text: &str) -> Part {
    Part { answer: text.to_owned(), ..Part::default() }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::wire::openai_chat;

    fn chunk(id: &str, text: &str) -> String {
        let text = serde_json::Value::from(text);
        format!(r#"{{"id":"{id}","choices":[{{"index":0,"delta":{{"content":{text}}},"finish_reason":null}}]}}"#)
    }

    fn taught(data: &str) -> Template {
        let mut template = Template::default();
        let Ok(Message::Part(part)) = openai_chat::decode("message", data) else { panic!("{data}") };
        template.learn(data, &part, openai_chat::decode);
        template
    }

    #[test]
    fn the_next_event_gives_its_text() {
        let mut template = taught(&chunk("1", " the"));
        assert_eq!(template.text(&chunk("1", " stra\u{df}e")), Some(" stra\u{df}e"));
        // What is not the same around the text, has none, or is not as it is written.
        for other in [
            chunk("2", " the"),
            chunk("1", ""),
            chunk("1", "a\"b"),
            chunk("1", "a\nb"),
            chunk("1", "a").replace("null", "\"stop\""),
            chunk("1", "a").replace("]}", "],\"usage\":{}}"),
            "[DONE]".to_owned(),
        ] {
            assert_eq!(template.text(&other), None, "{other}");
        }
    }

    #[test]
    fn a_text_that_stands_elsewhere_is_not_taken_for_the_answer() {
        let first = chunk("the", "the");
        assert_eq!(taught(&first).text(&chunk("end", "the")), None);
        let two = r#"{"id":"ab","choices":[{"delta":{"content":"a"}},{"delta":{"content":"b"}}]}"#;
        assert_eq!(taught(two).text(&two.replace("ab", "cd")), None);
    }

    #[test]
    fn nothing_is_learnt_from_events_that_say_more_or_never_repeat() {
        let usage = r#"{"choices":[{"delta":{"content":"a"}}],"usage":{"completion_tokens":1}}"#;
        assert_eq!(taught(usage).text(usage), None);
        let mut template = Template::default();
        for id in 0..20 {
            let data = chunk(&id.to_string(), "a");
            assert_eq!(template.text(&data), None);
            let Ok(Message::Part(part)) = openai_chat::decode("message", &data) else { panic!("{data}") };
            template.learn(&data, &part, openai_chat::decode);
        }
        assert_eq!(template.vain, MOST_VAIN);
        assert_eq!(template.text(&chunk("7", "b")), Some("b"), "what was learnt last still holds");
    }

    proptest! {
        #[test]
        fn it_says_what_the_decoder_says(first in "\\PC{1,8}", next in any::<String>(), id in "[a-c]{0,2}") {
            let (learnt, data) = (chunk(&id, &first), chunk(&id, &next));
            if let Some(text) = taught(&learnt).text(&data) {
                prop_assert_eq!(openai_chat::decode("message", &data), Ok(Message::Part(answer(text))));
            }
        }
    }
}
