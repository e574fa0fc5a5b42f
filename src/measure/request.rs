//! The figures of one request.

use crate::metric::Metric;
use crate::plan::Pacing;
use crate::record::RequestRecord;
use crate::units::Nanos;

/// Latencies of one successful request, in nanoseconds; absent where the request cannot show them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RequestMetrics {
    /// `first_token - start`; absent for an answer that was not streamed.
    pub ttft: Option<Nanos>,
    /// `first_output - start`.
    pub ttfo: Option<Nanos>,
    /// Second text event − first text event.
    pub ttst: Option<Nanos>,
    /// `(last_token - first_token) / (output_tokens - 1)`; absent below two tokens.
    pub tpot: Option<Nanos>,
    /// `last_token - start`.
    pub e2e_latency: Option<Nanos>,
    /// Longest gap between text events.
    pub max_stall: Option<Nanos>,
    /// `first_token - sent`.
    pub service_ttft: Option<Nanos>,
    /// `last_token - sent`.
    pub service_e2e_latency: Option<Nanos>,
}

/// The moment from which latencies of `record` count: `scheduled` for open-loop load, so that queueing in the
/// client is never hidden, `sent` for closed-loop and batch load.
pub(crate) fn start(record: &RequestRecord, pacing: Pacing) -> Nanos {
    match pacing {
        Pacing::Open { .. } => record.scheduled,
        Pacing::Closed { .. } | Pacing::Batch { .. } => record.sent,
    }
}

impl RequestMetrics {
    /// The figures of `record`; none for a request that failed or was given up.
    pub fn of(record: &RequestRecord, pacing: Pacing) -> Self {
        let (Some(first), Some(last)) = (record.chunks.first(), record.chunks.last()) else { return Self::default() };
        if !record.is_answered() {
            return Self::default();
        }
        let start = start(record, pacing);
        let since = |at: Nanos, from: Nanos| Some(at.saturating_sub(from));
        let latency = Self {
            e2e_latency: since(last.at, start),
            service_e2e_latency: since(last.at, record.sent),
            ..Self::default()
        };
        if !record.streamed {
            return latency;
        }
        let gaps = || record.chunks.windows(2).map(|pair| pair[1].at.saturating_sub(pair[0].at));
        Self {
            ttft: since(first.at, start),
            service_ttft: since(first.at, record.sent),
            ttfo: record.chunks.iter().find(|chunk| !chunk.reasoning).and_then(|chunk| since(chunk.at, start)),
            ttst: gaps().next(),
            tpot: (record.output_tokens > 1)
                .then(|| (last.at.saturating_sub(first.at)) / u64::from(record.output_tokens - 1)),
            max_stall: gaps().max(),
            ..latency
        }
    }

    /// The figure of a per-request latency metric; `None` also for metrics that are not one.
    pub fn get(&self, metric: Metric) -> Option<Nanos> {
        match metric {
            Metric::Ttft => self.ttft,
            Metric::Ttfo => self.ttfo,
            Metric::Ttst => self.ttst,
            Metric::Tpot => self.tpot,
            Metric::E2eLatency => self.e2e_latency,
            Metric::MaxStall => self.max_stall,
            Metric::ServiceTtft => self.service_ttft,
            Metric::ServiceE2eLatency => self.service_e2e_latency,
            _ => None,
        }
    }
}

/// Inter-token latencies that one chunk gives at most: a server that counts wrongly must not fill the memory.
const MOST_TOKENS_A_CHUNK: u32 = 4096;

/// Inter-token latencies of a request: one value per token after the first chunk's, the gap before its chunk
/// shared by the tokens that the chunk carries. Chunks that share a stamp count as one, so that no value is 0. A chunk
/// that completes no token ends no gap: the time before it is part of the next token's.
pub(crate) fn inter_token(record: &RequestRecord) -> Vec<Nanos> {
    let mut values = Vec::new();
    let mut chunks = record.chunks.iter().filter(|chunk| chunk.tokens > 0);
    let Some(first) = chunks.next() else { return values };
    let (mut previous, mut at, mut tokens) = (None::<Nanos>, first.at, first.tokens);
    let mut close = |previous: Option<Nanos>, at: Nanos, tokens: u32| {
        if let Some(before) = previous {
            let gap = at.saturating_sub(before) / u64::from(tokens);
            values.extend(std::iter::repeat_n(gap, tokens.min(MOST_TOKENS_A_CHUNK) as usize));
        }
    };
    for chunk in chunks {
        if chunk.at == at {
            tokens = tokens.saturating_add(chunk.tokens);
        } else {
            close(previous, at, tokens);
            (previous, at, tokens) = (Some(at), chunk.at, chunk.tokens);
        }
    }
    close(previous, at, tokens);
    values
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::record::{Chunk, TokenSource, Usage};
    use crate::tokens::Tokenizer;
    use crate::wire::{RawRequest, Read, openai_chat};

    /// A successful request with chunks of `(at, tokens)`.
    pub(crate) fn record(scheduled: Nanos, sent: Nanos, chunks: &[(Nanos, u32)]) -> RequestRecord {
        let output = chunks.iter().map(|c| c.1).sum();
        RequestRecord {
            index: 0,
            user: 0,
            max_tokens: output,
            request_id: "r".into(),
            scheduled,
            sent,
            headers: Some(sent),
            first_event: chunks.first().map(|c| c.0),
            chunks: chunks.iter().map(|&(at, tokens)| Chunk { at, tokens, reasoning: false }).collect(),
            closed: chunks.last().map_or(sent, |c| c.0),
            status: Some(200),
            streamed: true,
            coalesced: 0,
            usage: Some(Usage { input: 10, output, cached: Some(0), reasoning: None }),
            finish_reason: Some("length".into()),
            connect: None,
            resent: 0,
            to_cancel: false,
            cancelled: false,
            failure: None,
            input_tokens: 10,
            output_tokens: output,
            token_source: TokenSource::Usage,
        }
    }

    #[test]
    fn latencies_by_definition() {
        let record = record(0, 5, &[(105, 1), (125, 1), (165, 1)]);
        let closed = RequestMetrics::of(&record, Pacing::Closed { users: 1, ramp_up: 0 });
        assert_eq!(closed.ttft, Some(100));
        assert_eq!(closed.ttst, Some(20));
        assert_eq!(closed.tpot, Some(30));
        assert_eq!(closed.e2e_latency, Some(160));
        assert_eq!(closed.max_stall, Some(40));
        let open = RequestMetrics::of(&record, Pacing::Open { max_in_flight: None });
        assert_eq!((open.ttft, open.service_ttft), (Some(105), Some(100)));
        assert_eq!((open.e2e_latency, open.service_e2e_latency), (Some(165), Some(160)));
    }

    #[test]
    fn one_token_has_no_pace() {
        let record = record(0, 0, &[(50, 1)]);
        let metrics = RequestMetrics::of(&record, Pacing::Batch { size: 1 });
        assert_eq!((metrics.tpot, metrics.ttst, metrics.max_stall), (None, None, None));
        assert!(inter_token(&record).is_empty());
    }

    #[test]
    fn tokens_of_a_chunk_share_its_gap_and_shared_stamps_are_one_chunk() {
        assert_eq!(inter_token(&record(0, 0, &[(100, 2), (160, 3), (200, 1)])), [20, 20, 20, 40]);
        assert_eq!(inter_token(&record(0, 0, &[(100, 1), (160, 1), (160, 1), (200, 1)])), [30, 30, 40]);
        assert_eq!(inter_token(&record(0, 0, &[(100, 1), (100, 1), (130, 1)])), [30]);
    }

    #[test]
    fn a_chunk_without_a_token_ends_no_gap() {
        // Half a word, or half a character: its token comes with the rest.
        assert_eq!(inter_token(&record(0, 0, &[(100, 1), (130, 0), (160, 2), (200, 1)])), [30, 30, 40]);
        assert_eq!(inter_token(&record(0, 0, &[(100, 0), (130, 1), (160, 1)])), [30]);
        assert!(inter_token(&record(0, 0, &[(100, 1), (130, 0)])).is_empty());
    }

    /// What a server sends, one read every 10 ns.
    fn answer(reads: &[String]) -> RequestRecord {
        let mut end = 0;
        let read = |(index, read): (usize, &String)| {
            end += read.len() as u32;
            Read { at: 10 * (index as u64 + 1), end }
        };
        let raw = RawRequest {
            index: 0,
            user: 0,
            max_tokens: 8,
            planned_input_tokens: 3,
            request_id: "r".into(),
            scheduled: 0,
            sent: 0,
            headers: Some(1),
            status: Some(200),
            event_stream: true,
            reads: reads.iter().enumerate().map(read).collect(),
            bytes: reads.concat().into_bytes(),
            closed: 1000,
            connect: None,
            resent: 0,
            to_cancel: false,
            cancelled: false,
            failure: None,
        };
        openai_chat::interpret(&raw, &Tokenizer::bundled())
    }

    fn chunk(text: &str, usage: Option<u32>) -> String {
        let usage = usage.map_or("null".to_owned(), |tokens| format!(r#"{{"completion_tokens":{tokens}}}"#));
        format!("data: {{\"choices\":[{{\"delta\":{{\"content\":\"{text}\"}}}}],\"usage\":{usage}}}\n\n")
    }

    #[test]
    fn the_tokens_of_each_source_share_their_chunk_s_gap() {
        let end = |tokens| {
            let reason = r#"{"choices":[{"delta":{},"finish_reason":"length"}]}"#;
            let usage = r#"{"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":"#;
            format!("data: {reason}\n\ndata: {usage}{tokens}}}}}\n\ndata: [DONE]\n\n")
        };
        let continuous = [chunk("the house", Some(2)), chunk(" and the gar", Some(7)), chunk("den", Some(8)), end(8)];
        let total = [chunk("the", None), chunk(" house", None), chunk(" and", None), end(3)];
        let packed = [chunk("the house", None), chunk(" and the gar", None), chunk("den", None), end(9)];
        let silent = [chunk("the house", None), chunk(" and", None), "data: [DONE]\n\n".to_owned()];
        for (name, reads, source, values) in [
            // The server's word goes before the tokenizer's, which would count 2, 2 and 1.
            ("running counts", &continuous[..], TokenSource::ContinuousUsage, &[2, 2, 2, 2, 2, 10][..]),
            ("one token a chunk", &total[..], TokenSource::Usage, &[10, 10]),
            ("several tokens a chunk", &packed[..], TokenSource::Tokenizer, &[5, 5, 10]),
            ("no usage", &silent[..], TokenSource::Tokenizer, &[10]),
        ] {
            let record = answer(reads);
            assert_eq!((&record.failure, record.token_source), (&None, source), "{name}");
            assert_eq!(inter_token(&record), values, "{name}");
        }
        // Two chunks a read: their tokens share the gap between the reads.
        let record = answer(&[total[..2].concat(), total[2].clone() + &chunk(" the", None), end(4)]);
        assert_eq!((record.coalesced, inter_token(&record)), (4, vec![5, 5]));
    }

    #[test]
    fn an_answer_in_one_piece_shows_only_its_latency() {
        let mut record = record(0, 0, &[(90, 8)]);
        record.streamed = false;
        let metrics = RequestMetrics::of(&record, Pacing::Closed { users: 1, ramp_up: 0 });
        assert_eq!((metrics.ttft, metrics.tpot, metrics.e2e_latency), (None, None, Some(90)));
    }

    #[test]
    fn reasoning_is_a_token_but_no_output() {
        let mut record = record(0, 0, &[(10, 1), (20, 1), (30, 1)]);
        record.chunks[0].reasoning = true;
        let metrics = RequestMetrics::of(&record, Pacing::Closed { users: 1, ramp_up: 0 });
        assert_eq!((metrics.ttft, metrics.ttfo), (Some(10), Some(20)));
    }
}
