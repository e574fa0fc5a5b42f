//! What the fuzz targets check. `cargo test` checks the same for the files of `corpus/`.

#[path = "../../tests/it/wire_properties.rs"]
mod wire_properties;

/// Places at which bytes are cut in two: enough for what a fuzzer tries first, few enough for many runs a second.
const MOST_CUTS: usize = 16;

/// See `wire_properties::sse`.
pub fn sse(stream: &[u8]) {
    wire_properties::sse(stream, MOST_CUTS);
}

/// See `wire_properties::openai_chat`.
pub fn openai_chat(body: &[u8]) {
    wire_properties::openai_chat(body, MOST_CUTS);
}

/// See `wire_properties::openai_completions`.
pub fn openai_completions(body: &[u8]) {
    wire_properties::openai_completions(body, MOST_CUTS);
}

/// See `wire_properties::openai_embeddings`.
pub fn openai_embeddings(body: &[u8]) {
    wire_properties::openai_embeddings(body, MOST_CUTS);
}

/// See `wire_properties::lightllm`.
pub fn lightllm(body: &[u8]) {
    wire_properties::lightllm(body, MOST_CUTS);
}

/// See `wire_properties::tgi`.
pub fn tgi(body: &[u8]) {
    wire_properties::tgi(body, MOST_CUTS);
}

/// See `wire_properties::ppl`.
pub fn ppl(body: &[u8]) {
    wire_properties::ppl(body, MOST_CUTS);
}
