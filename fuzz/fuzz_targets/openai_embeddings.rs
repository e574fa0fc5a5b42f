#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tokpace_fuzz::openai_embeddings(data));
