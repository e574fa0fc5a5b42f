//! [`Tokenizer`]: one face for the bundled tokenizer and for a user's own.

use std::fmt;
use std::sync::{Arc, OnceLock};

use sha2::{Digest, Sha256};

#[cfg(feature = "tokenizers")]
use super::bpe::Bpe as Model;
#[cfg(not(feature = "tokenizers"))]
use super::pieces::Pieces as Model;
use super::span::{Span, attribute};
use super::vocabulary::{JSON, Vocabulary};

/// Counts the tokens of texts; cheap to clone.
///
/// No special tokens are added: a text has the tokens that it would have within a longer one.
#[derive(Clone)]
pub struct Tokenizer(Arc<Inner>);

struct Inner {
    name: String,
    fingerprint: String,
    /// The bundled tokenizer's short cut for plain words; a user's tokenizer has none.
    words: Option<&'static Vocabulary>,
    /// What the short cut does not know.
    model: Model,
}

/// Why a user's tokenizer cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenizerError {
    /// The program was built without the feature `tokenizers`.
    #[error(
        "tokenizer `{name}` needs the cargo feature `tokenizers`, which this build leaves out; \
         add it to tokpace's features, or leave the profile's `tokenizer` out to count with the bundled words"
    )]
    FeatureOff {
        /// The tokenizer's name.
        name: String,
    },
    /// The file is not a tokenizer.
    #[error("`{name}` is not a usable tokenizer: {reason}; it must be the `tokenizer.json` of a fast tokenizer")]
    Invalid {
        /// The tokenizer's name.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
}

impl Tokenizer {
    /// The tokenizer that ships with the library, named `bundled`.
    ///
    /// Without the cargo feature `tokenizers` it is named `bundled-words`: a word of the vocabulary is one token, any
    /// other one for every four characters begun. Both agree on texts made of [`super::corpus::words`].
    pub fn bundled() -> Self {
        static BUNDLED: OnceLock<Tokenizer> = OnceLock::new();
        BUNDLED.get_or_init(Self::make_bundled).clone()
    }

    #[cfg(feature = "tokenizers")]
    fn make_bundled() -> Self {
        Self(Arc::new(Inner {
            name: "bundled".to_owned(),
            fingerprint: fingerprint(&[JSON.as_bytes()]),
            words: Some(Vocabulary::bundled()),
            model: Model::parse(JSON.as_bytes()).expect("the bundled tokenizer.json was read back when it was made"),
        }))
    }

    #[cfg(not(feature = "tokenizers"))]
    fn make_bundled() -> Self {
        let name = "bundled-words".to_owned();
        // The name is part of it: most texts have other counts than with the feature.
        let fingerprint = fingerprint(&[name.as_bytes(), JSON.as_bytes()]);
        let words = Vocabulary::bundled();
        Self(Arc::new(Inner { name, fingerprint, words: Some(words), model: Model(words) }))
    }

    /// A tokenizer from the bytes of a `tokenizer.json`; `name` is what reports show, such as the file's path.
    ///
    /// Truncation and padding that the file asks for are ignored. Fails if the bytes are not a tokenizer, and always
    /// in a build without the cargo feature `tokenizers`.
    #[cfg(feature = "tokenizers")]
    pub fn from_json(name: &str, bytes: &[u8]) -> Result<Self, TokenizerError> {
        let name = name.to_owned();
        match Model::parse(bytes) {
            Ok(model) => Ok(Self(Arc::new(Inner { name, fingerprint: fingerprint(&[bytes]), words: None, model }))),
            Err(reason) => Err(TokenizerError::Invalid { name, reason }),
        }
    }

    /// A tokenizer from the bytes of a `tokenizer.json`: refused, since this build is without the cargo feature
    /// `tokenizers`.
    #[cfg(not(feature = "tokenizers"))]
    pub fn from_json(name: &str, _bytes: &[u8]) -> Result<Self, TokenizerError> {
        Err(TokenizerError::FeatureOff { name: name.to_owned() })
    }

    /// What reports call it.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// `sha256:` and 16 hexadecimal digits: equal for tokenizers that give equal tokens.
    pub fn fingerprint(&self) -> &str {
        &self.0.fingerprint
    }

    /// Whether it ships with the library, so that its counts are not those of the measured model.
    pub fn is_bundled(&self) -> bool {
        self.0.words.is_some()
    }

    /// Number of tokens of `text`.
    pub fn count(&self, text: &str) -> u32 {
        if text.is_empty() {
            return 0;
        }
        self.0.words.and_then(|words| words.count(text)).unwrap_or_else(|| self.0.model.count(text))
    }

    /// The tokens of `text`, in order. Numbers mean something within one tokenizer only.
    pub fn ids(&self, text: &str) -> Vec<u32> {
        self.spans(text).iter().map(|span| span.id).collect()
    }

    /// The part of `text` that its first `tokens` tokens make: the whole text if it has no more.
    ///
    /// The result never counts more than `tokens`; it can count less where a cut inside a word or a character would
    /// make it more.
    pub fn cut<'t>(&self, text: &'t str, tokens: u32) -> &'t str {
        let spans = self.spans(text);
        if spans.len() <= tokens as usize {
            return text;
        }
        let mut prefixes = spans[..tokens as usize].iter().rev().filter_map(|span| text.get(..span.end));
        prefixes.find(|prefix| self.count(prefix) <= tokens).unwrap_or_default()
    }

    /// Tokens of each of the consecutive pieces of one text; the sum is the count of the whole text.
    ///
    /// The text is tokenised as a whole and a token belongs to the piece that completes it, so pieces may end inside
    /// a token, as the chunks of a stream do.
    pub fn counts_of(&self, pieces: &[&str]) -> Vec<u32> {
        attribute(&self.spans(&pieces.concat()), pieces)
    }

    fn spans(&self, text: &str) -> Vec<Span> {
        if text.is_empty() {
            return Vec::new();
        }
        self.0.words.and_then(|words| words.spans(text)).unwrap_or_else(|| self.0.model.spans(text))
    }
}

impl fmt::Debug for Tokenizer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokenizer").field("name", &self.0.name).field("fingerprint", &self.0.fingerprint).finish()
    }
}

fn fingerprint(parts: &[&[u8]]) -> String {
    use fmt::Write as _;
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part);
    }
    hash.finalize().iter().take(8).fold("sha256:".to_owned(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::tokens::corpus;

    /// Texts between plain words and noise, so that both paths and the border between them are tried.
    fn any_text() -> impl Strategy<Value = String> {
        let word = prop_oneof![
            8 => (0..corpus::words().len()).prop_map(|at| corpus::words()[at].to_owned()),
            1 => "[a-z]{0,12}",
            1 => "[a-z0-9'., \n]{0,6}",
            1 => "\\PC{0,4}",
        ];
        let texts = proptest::collection::vec(word, 0..12);
        (texts, any::<bool>()).prop_map(|(words, lead)| format!("{}{}", if lead { " " } else { "" }, words.join(" ")))
    }

    proptest! {
        #[test]
        fn corpus_words_are_one_token_each(at in 0..corpus::words().len(), length in 0_usize..300) {
            let words = &corpus::words()[at..(at + length).min(corpus::words().len())];
            let tokenizer = Tokenizer::bundled();
            prop_assert_eq!(tokenizer.count(&words.join(" ")) as usize, words.len());
            prop_assert_eq!(tokenizer.ids(&words.join(" ")).len(), words.len());
        }

        #[test]
        fn pieces_add_up(text in any_text(), cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..6)) {
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(text.len() + 1)).collect();
            cuts.retain(|&cut| text.is_char_boundary(cut));
            cuts.sort_unstable();
            cuts.push(text.len());
            let mut from = 0;
            let pieces: Vec<&str> = cuts.iter().map(|&to| &text[std::mem::replace(&mut from, to)..to]).collect();
            let tokenizer = Tokenizer::bundled();
            let counts = tokenizer.counts_of(&pieces);
            prop_assert_eq!(counts.len(), pieces.len());
            prop_assert_eq!(counts.iter().sum::<u32>(), tokenizer.count(&text));
            prop_assert!(pieces.iter().zip(&counts).all(|(piece, &count)| !piece.is_empty() || count == 0));
        }

        #[test]
        fn cuts_keep_the_limit(text in any_text(), tokens in 0_u32..20) {
            let tokenizer = Tokenizer::bundled();
            let cut = tokenizer.cut(&text, tokens);
            prop_assert!(text.starts_with(cut));
            prop_assert!(tokenizer.count(cut) <= tokens);
            if tokenizer.count(&text) <= tokens {
                prop_assert_eq!(cut, text.as_str());
            }
        }
    }

    #[test]
    fn cuts_of_plain_words_are_exact() {
        let tokenizer = Tokenizer::bundled();
        assert_eq!(tokenizer.cut("the house and the garden", 3), "the house and");
        assert_eq!(tokenizer.cut("the house", 0), "");
        assert_eq!(tokenizer.cut("", 4), "");
    }

    #[test]
    fn pieces_that_end_inside_a_word_leave_the_token_to_the_next() {
        let tokenizer = Tokenizer::bundled();
        assert_eq!(tokenizer.counts_of(&["the ho", "", "use and", " the"]), [1, 0, 2, 1]);
        assert_eq!(tokenizer.counts_of(&[]), [0; 0]);
        assert_eq!(tokenizer.counts_of(&["", ""]), [0, 0]);
    }

    #[cfg(feature = "tokenizers")]
    mod with_feature {
        use super::*;

        proptest! {
            #[test]
            fn the_short_cut_gives_what_the_model_gives(text in any_text()) {
                let tokenizer = Tokenizer::bundled();
                if !text.is_empty() {
                    prop_assert_eq!(tokenizer.spans(&text), tokenizer.0.model.spans(&text));
                    prop_assert_eq!(tokenizer.count(&text), tokenizer.0.model.count(&text));
                }
            }

            #[test]
            fn counts_with_and_without_places_agree(text in any_text()) {
                let tokenizer = Tokenizer::bundled();
                prop_assert_eq!(tokenizer.count(&text) as usize, tokenizer.ids(&text).len());
            }
        }

        #[test]
        fn every_word_of_the_vocabulary_is_the_model_s_own_single_token() {
            let tokenizer = Tokenizer::bundled();
            let vocabulary = Vocabulary::bundled();
            for word in vocabulary.words() {
                assert_eq!(tokenizer.0.model.spans(word), vocabulary.spans(word).unwrap(), "{word}");
            }
        }

        #[test]
        fn the_bundled_fingerprint_is_stable() {
            let tokenizer = Tokenizer::bundled();
            assert_eq!((tokenizer.name(), tokenizer.fingerprint()), ("bundled", "sha256:3c387c1ba5fb5113"));
            assert!(tokenizer.is_bundled());
        }

        #[test]
        fn a_user_s_file_gives_its_own_tokens_and_name() {
            let tokenizer = Tokenizer::from_json("models/tokenizer.json", JSON.as_bytes()).unwrap();
            assert_eq!(tokenizer.name(), "models/tokenizer.json");
            assert!(!tokenizer.is_bundled());
            assert_eq!(tokenizer.ids("the house, ß"), Tokenizer::bundled().ids("the house, ß"));
        }

        #[test]
        fn truncation_in_a_user_s_file_is_ignored() {
            let cut = r#""truncation":{"direction":"Right","max_length":2,"strategy":"LongestFirst","stride":0}"#;
            let json = JSON.replace(r#""truncation":null"#, cut);
            assert_ne!(json, JSON);
            assert_eq!(Tokenizer::from_json("cut", json.as_bytes()).unwrap().count("the house and the"), 4);
        }

        #[test]
        fn what_is_not_a_tokenizer_is_an_error_that_names_it() {
            for bytes in [&b""[..], b"{}", b"\xff\xfe", b"[1, 2]"] {
                let error = Tokenizer::from_json("my.json", bytes).unwrap_err().to_string();
                assert!(error.starts_with("`my.json` is not a usable tokenizer: "), "{error}");
            }
        }
    }

    #[cfg(not(feature = "tokenizers"))]
    #[test]
    fn without_the_feature_counts_are_labelled_and_files_refused() {
        let tokenizer = Tokenizer::bundled();
        assert_eq!(tokenizer.name(), "bundled-words");
        assert!(tokenizer.is_bundled());
        assert_eq!(tokenizer.count("the zzzzz"), 3);
        let error = Tokenizer::from_json("my.json", JSON.as_bytes()).unwrap_err().to_string();
        assert!(error.contains("feature `tokenizers`"), "{error}");
    }
}
