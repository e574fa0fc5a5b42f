//! What a case's plan is made of, read from where the scenario says.

use crate::harness::{MeasureError, Session};
use crate::plan::{self, Item, Plan, PlanError, Sources, TraceRequest, Words};
use crate::scenario::{Case, DatasetFormat, SystemPrompt};
use crate::tokens::Tokenizer;

impl Session {
    /// Reads what the case names and plans it with the bundled tokenizer.
    pub(crate) fn plan(&self, case: &Case) -> Result<Plan, MeasureError> {
        let tokenizer = Tokenizer::bundled();
        let words = Words::of(&tokenizer).map_err(PlanError::from)?;
        self.plan_with(case, &tokenizer, &words)
    }

    /// Reads what the case names and plans it.
    pub(super) fn plan_with(&self, case: &Case, tokenizer: &Tokenizer, words: &Words) -> Result<Plan, MeasureError> {
        let dataset = self.dataset(case)?;
        let trace = self.trace(case)?;
        let system_prompt = self.system_prompt(case)?;
        let sources = Sources {
            tokenizer,
            words,
            dataset: dataset.as_deref(),
            trace: trace.as_deref(),
            system_prompt: system_prompt.as_deref(),
        };
        Ok(plan::build(case, &sources)?)
    }

    fn read(&self, path: &str) -> Result<String, MeasureError> {
        let expanded = self.environment.expand(path)?;
        std::fs::read_to_string(self.paths.scenarios.join(expanded))
            .map_err(|source| MeasureError::File { path: path.to_owned(), source })
    }

    fn dataset(&self, case: &Case) -> Result<Option<Vec<Item>>, MeasureError> {
        let dataset = case.workload.dataset.as_ref().filter(|dataset| dataset.format != DatasetFormat::Mooncake);
        let Some(dataset) = dataset else { return Ok(None) };
        let text = self.read(&dataset.path)?;
        Ok(Some(plan::parse_dataset(&dataset.path, &text, dataset.format)?))
    }

    fn trace(&self, case: &Case) -> Result<Option<Vec<TraceRequest>>, MeasureError> {
        let Some(path) = case.trace() else { return Ok(None) };
        Ok(Some(plan::parse_trace(path, &self.read(path)?)?))
    }

    fn system_prompt(&self, case: &Case) -> Result<Option<String>, MeasureError> {
        match &case.workload.system_prompt {
            None => Ok(None),
            Some(SystemPrompt::Text(text)) => Ok(Some(text.clone())),
            Some(SystemPrompt::Path(path)) => Ok(Some(self.read(path)?.trim_end().to_owned())),
        }
    }
}

/// The plan's requests without their texts.
pub(super) fn plan_lines(case: &Case, plan: &Plan) -> String {
    let lists = [("warmup", &plan.warmup), ("prime", &plan.prime), ("measured", &plan.requests)];
    let mut lines = String::new();
    for (phase, requests) in lists {
        for request in requests {
            let line = serde_json::json!({
                "case": case.name,
                "phase": phase,
                "index": request.index,
                "user": request.user,
                "at_ns": request.at,
                "input_tokens": request.prompt.input_tokens,
                "max_tokens": request.max_tokens,
                "cancel_after_ns": request.cancel.and_then(|cancel| cancel.after),
                "cancel_after_tokens": request.cancel.and_then(|cancel| cancel.after_tokens),
                "plan": plan.hash,
            });
            lines.push_str(&line.to_string());
            lines.push('\n');
        }
    }
    lines
}
