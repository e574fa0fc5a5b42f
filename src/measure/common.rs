//! What the prompts of a trial have in common beyond what was planned.

use crate::plan::Plan;
use crate::record::RequestRecord;

/// Tokens that the server's chat template puts around every prompt: the least that it counted beyond those planned.
///
/// The least, since a server whose tokenizer is another one counts more the longer a prompt is.
pub(crate) fn template_tokens(plan: &Plan, records: &[RequestRecord]) -> u32 {
    let more = |record: &RequestRecord| {
        let planned = plan.requests.get(record.index as usize)?.prompt.input_tokens;
        Some(record.usage.as_ref()?.input.saturating_sub(planned))
    };
    records.iter().filter(|record| record.is_answered()).filter_map(more).min().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::request::tests::record;
    use crate::plan::{Pacing, PlannedRequest, Prompt};
    use crate::record::Usage;

    #[test]
    fn a_template_is_what_the_server_counts_beyond_every_plan() {
        let request = |index: u32, input_tokens: u32| PlannedRequest {
            index,
            user: 0,
            at: 0,
            prompt: Prompt { system: None, prefix: vec![], body: "b".into(), input_tokens, salt_tokens: 0 },
            max_tokens: 1,
            cancel: None,
        };
        let plan = Plan {
            pacing: Pacing::Closed { users: 1, ramp_up: 0 },
            warmup: vec![],
            prime: vec![],
            requests: vec![request(0, 64), request(1, 128), request(2, 32)],
            duration: None,
            shares_prefix: false,
            common_tokens: 0,
            hash: String::new(),
        };
        let counted = |index: u32, input| {
            let mut record = record(0, 1, &[(2, 1)]);
            record.index = index;
            record.usage = Some(Usage { input, output: 1, cached: None, reasoning: None });
            record
        };
        assert_eq!(template_tokens(&plan, &[counted(0, 76), counted(1, 140)]), 12);
        // Another tokenizer: the shortest prompt says most about the template.
        assert_eq!(template_tokens(&plan, &[counted(1, 168), counted(2, 50)]), 18);
        // One that counts less has none that could be told.
        assert_eq!(template_tokens(&plan, &[counted(0, 60)]), 0);
        assert_eq!(template_tokens(&plan, &[]), 0);
    }
}
