//! How often, and how soon, what was no measurement is measured again.

use std::time::Duration;

use crate::measure::Invalid;

const SHORTEST_PAUSE: Duration = Duration::from_millis(500);

/// Whether too many trials (or pairs) were no measurement. A quarter of the most trials, but at least one, may be
/// repeated for what the target did. What the client's machine did says nothing of the target, so there as many may be
/// as the case has trials at most, and as many more as there are good ones.
pub(crate) fn gives_up(invalid: &[(u32, Vec<Invalid>)], good: u32, most: u32) -> bool {
    let passing = invalid.iter().filter(|(_, reasons)| is_passing(reasons)).count() as u32;
    let lasting = invalid.len() as u32 - passing;
    lasting > (most / 4).max(1) || passing > most + good
}

/// Whether the machine alone is to blame.
fn is_passing(reasons: &[Invalid]) -> bool {
    reasons.iter().all(|reason| reason.passing)
}

/// How long to leave a machine alone that was too busy to measure on: twice as long for each such trial in a row.
pub(crate) fn pause(invalid: &[(u32, Vec<Invalid>)]) -> Duration {
    let mut in_a_row = 0;
    let mut next = None;
    for (number, reasons) in invalid.iter().rev() {
        if !is_passing(reasons) || next.is_some_and(|next| number + 1 != next) {
            break;
        }
        in_a_row += 1;
        next = Some(*number);
    }
    if in_a_row == 0 { Duration::ZERO } else { SHORTEST_PAUSE * (1 << (in_a_row - 1).min(4)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn invalid(numbers: &[u32], passing: bool) -> Vec<(u32, Vec<Invalid>)> {
        let reason = Invalid { reason: String::new(), hint: String::new(), passing };
        numbers.iter().map(|number| (*number, vec![reason.clone()])).collect()
    }

    #[test]
    fn what_the_target_did_is_repeated_less_often_than_what_the_machine_did() {
        let most = 10;
        assert!(!gives_up(&invalid(&[1, 2], false), 0, most) && gives_up(&invalid(&[1, 2, 5], false), 2, most));
        let ten: Vec<u32> = (1..=10).collect();
        assert!(!gives_up(&invalid(&ten, true), 0, most));
        let eleven: Vec<u32> = (1..=11).collect();
        assert!(gives_up(&invalid(&eleven, true), 0, most) && !gives_up(&invalid(&eleven, true), 1, most));
        // Both at once is the target's.
        let mut both = invalid(&[1], true);
        both[0].1.extend(invalid(&[1], false).remove(0).1);
        assert!(gives_up(&[both.clone(), both].concat(), 9, 4));
    }

    #[test]
    fn a_busy_machine_is_left_alone_for_longer_and_longer() {
        assert_eq!(pause(&invalid(&[3], true)), Duration::from_millis(500));
        assert_eq!(pause(&invalid(&[2, 3, 4], true)), Duration::from_secs(2));
        assert_eq!(pause(&invalid(&[1, 2, 3, 4, 5, 6, 7], true)), Duration::from_secs(8));
        assert_eq!(pause(&invalid(&[2, 4], true)), Duration::from_millis(500));
        assert_eq!(pause(&invalid(&[2, 3], false)), Duration::ZERO);
    }
}
