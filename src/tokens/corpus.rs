//! Public-domain English text for prompts and simulated answers (`data/README.md` names the works).

use std::sync::OnceLock;

use super::vocabulary::Vocabulary;

const TEXT: &str = include_str!("data/corpus.txt");

/// The corpus's words in running order: those that are a single token of the bundled tokenizer, as they are written,
/// without punctuation.
///
/// Any run of them joined by single spaces has as many bundled tokens as words. The list is the same in every build;
/// it is made on the first call and holds about 40,000 words.
pub fn words() -> &'static [&'static str] {
    static WORDS: OnceLock<Vec<&'static str>> = OnceLock::new();
    WORDS.get_or_init(|| {
        let vocabulary = Vocabulary::bundled();
        TEXT.split_ascii_whitespace()
            .map(|word| word.trim_matches(|c: char| !c.is_ascii_alphabetic()))
            .filter(|word| vocabulary.id(word).is_some())
            .collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_many_clean_and_in_running_order() {
        assert_eq!(words().len(), 40_600);
        assert!(words().iter().all(|word| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_alphabetic())));
        assert_eq!(words()[2..10].join(" "), "Alice was beginning to get very tired of");
    }

    #[test]
    fn the_corpus_is_plain_text_only() {
        assert!(TEXT.bytes().all(|byte| byte == b'\n' || (b' '..=b'~').contains(&byte)));
    }
}
