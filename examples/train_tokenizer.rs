//! Makes `src/tokens/data/tokenizer.json` from `src/tokens/data/corpus.txt`:
//!
//! ```console
//! cargo run --example train_tokenizer
//! ```
//!
//! The result depends on the corpus and on the version of the `tokenizers` crate only; running it twice gives the
//! same bytes. Any change of the file changes the fingerprint of the bundled tokenizer, and with it every plan and
//! every baseline that was recorded with it, so retrain only for a reason worth new baselines.
//!
//! How the corpus was made: the works and chapters listed in `src/tokens/data/README.md` were taken from plain-text
//! editions that are in the public domain. Front matter, headings, signatures, notes and everything an editor of the
//! electronic text had added were removed; marks of emphasis were dropped; dashes became ` -- `; quotation marks
//! became `'` and `"`; whatever was not printable ASCII became a space. Each paragraph is one line with single
//! spaces; verse is set as prose in lines of a few sentences.

use std::error::Error;
use std::fs;
use std::path::Path;

use tokenizers::decoders::DecoderWrapper;
use tokenizers::models::bpe::{BPE, BpeTrainer};
use tokenizers::normalizers::NormalizerWrapper;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::processors::PostProcessorWrapper;
use tokenizers::{Tokenizer, TokenizerBuilder};

/// Large enough that four words in five of the corpus are one token, small enough for a small file.
const VOCABULARY: usize = 4096;

fn main() -> Result<(), Box<dyn Error>> {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/tokens/data");
    let corpus = fs::read_to_string(data.join("corpus.txt"))?;

    // The prefix space makes the first word of a text a token like any other: " word".
    let byte_level = ByteLevel::new(true, false, true);
    let mut tokenizer =
        TokenizerBuilder::<BPE, NormalizerWrapper, ByteLevel, PostProcessorWrapper, DecoderWrapper>::new()
            .with_model(BPE::default())
            .with_pre_tokenizer(Some(byte_level))
            .with_decoder(Some(DecoderWrapper::from(byte_level)))
            .build()
            .map_err(|error| error.to_string())?;
    let mut trainer = BpeTrainer::builder()
        .show_progress(false)
        .vocab_size(VOCABULARY)
        // All 256 bytes, so that no text is unknown.
        .initial_alphabet(ByteLevel::alphabet().into_iter().collect())
        .build();
    tokenizer.train(&mut trainer, corpus.lines()).map_err(|error| error.to_string())?;

    let json = tokenizer.to_string(false).map_err(|error| error.to_string())?;
    // Read back before it replaces the old file.
    Tokenizer::from_bytes(json.as_bytes()).map_err(|error| error.to_string())?;
    fs::write(data.join("tokenizer.json"), json + "\n")?;
    Ok(())
}
