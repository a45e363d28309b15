//! Calendar events: the schedule of a job.
//!
//! Follows `parse_calendar_event_incomplete` of proxmox-rs `proxmox-time/src/calendar_event.rs`:
//! `[WEEKDAYS] [[YEAR-]MONTH-DAY] [[HOUR:]MINUTE[:SECOND]] [UTC]`, or a word such as `daily`. Only whether a text is
//! one is answered here; upstream drops a schedule that is none, and with it the job.

/// Words that are a whole schedule.
const WORDS: [&str; 10] = [
    "minutely",
    "hourly",
    "daily",
    "weekly",
    "monthly",
    "yearly",
    "annually",
    "quarterly",
    "semiannually",
    "semi-annually",
];

/// The days of the week, each with its short name first.
const DAYS: [[&str; 2]; 7] = [
    ["mon", "monday"],
    ["tue", "tuesday"],
    ["wed", "wednesday"],
    ["thu", "thursday"],
    ["fri", "friday"],
    ["sat", "saturday"],
    ["sun", "sunday"],
];

/// One more than the largest value of each part.
const YEARS: u32 = 2200;
const MONTHS: u32 = 13;
const DAYS_OF_MONTH: u32 = 32;
const HOURS: u32 = 24;
const SIXTY: u32 = 60;

/// Upstream's limit on the length of a schedule, in characters.
const LENGTH_LIMIT: usize = 128;

/// Whether `text` is a schedule upstream accepts.
pub(crate) fn is_valid(text: &str) -> bool {
    text.chars().count() <= LENGTH_LIMIT && is_event(text)
}

fn is_event(text: &str) -> bool {
    let text = text.strip_suffix("UTC").map_or(text, |rest| rest.trim_end_matches(' '));
    if WORDS.contains(&text) {
        return true;
    }
    let mut rest = text;
    let mut found = false;
    if rest.starts_with(|first: char| first.is_ascii_alphabetic()) {
        let Some(after) = weekdays(rest) else { return false };
        (rest, found) = (blanks(after), true);
    }
    if let Some(after) = date(rest) {
        (rest, found) = (blanks(after), true);
    }
    if let Some(after) = time(rest) {
        (rest, found) = (after, true);
    }
    found && rest.is_empty()
}

fn blanks(text: &str) -> &str {
    text.trim_start_matches([' ', '\t'])
}

/// Each of these takes its part from the front of the text and answers with what follows it.
fn weekdays(text: &str) -> Option<&str> {
    let mut rest = weekday_range(text)?;
    while let Some(after) = rest.strip_prefix(',').and_then(weekday_range) {
        rest = after;
    }
    Some(rest)
}

fn weekday_range(text: &str) -> Option<&str> {
    let rest = weekday(text)?;
    Some(rest.strip_prefix("..").and_then(weekday).unwrap_or(rest))
}

fn weekday(text: &str) -> Option<&str> {
    let end = text.find(|each: char| !each.is_ascii_alphabetic()).unwrap_or(text.len());
    let (word, rest) = text.split_at_checked(end)?;
    DAYS.iter().flatten().any(|day| word.eq_ignore_ascii_case(day)).then_some(rest)
}

fn date(text: &str) -> Option<&str> {
    let month_and_day = |text| part(behind('-', part(text, MONTHS)?)?, DAYS_OF_MONTH);
    let with_year = |text| month_and_day(behind('-', part(text, YEARS)?)?);
    with_year(text).or_else(|| month_and_day(text))
}

fn time(text: &str) -> Option<&str> {
    let minute = part(text, HOURS).and_then(|rest| behind(':', rest)).unwrap_or(text);
    let rest = part(minute, SIXTY)?;
    Some(behind(':', rest).and_then(|rest| part(rest, SIXTY)).unwrap_or(rest))
}

fn behind(separator: char, text: &str) -> Option<&str> {
    text.strip_prefix(separator)
}

/// `*`, `*/STEP` or a list of values.
fn part(text: &str, limit: u32) -> Option<&str> {
    if let Some(rest) = text.strip_prefix('*') {
        let Some(step) = rest.strip_prefix('/') else { return Some(rest) };
        let (step, after) = number(step, limit)?;
        // A step of zero is left standing, so that the whole schedule is refused.
        return Some(if step > 0 { after } else { rest });
    }
    let mut rest = values(text, limit)?;
    while let Some(after) = rest.strip_prefix(',').and_then(|rest| values(rest, limit)) {
        rest = after;
    }
    Some(rest)
}

/// `VALUE[..VALUE][/STEP]`
fn values(text: &str, limit: u32) -> Option<&str> {
    let (from, mut rest) = number(text, limit)?;
    if let Some((to, after)) = rest.strip_prefix("..").and_then(|rest| number(rest, limit)) {
        if from > to {
            return None;
        }
        rest = after;
    }
    match rest.strip_prefix('/') {
        Some(step) => number(step, limit).map(|(_, after)| after),
        None => Some(rest),
    }
}

fn number(text: &str, limit: u32) -> Option<(u32, &str)> {
    let end = text.find(|each: char| !each.is_ascii_digit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at_checked(end)?;
    let value = digits.parse().ok().filter(|value| *value < limit)?;
    Some((value, rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_the_manual_and_the_web_interface_offer_is_valid() {
        for text in [
            "daily",
            "semi-annually",
            "mon..fri 02:30",
            "sun 01:00",
            "21:00",
            "*/30",
            "*/2:00",
            "2,22:30",
            "mon..fri",
            "Mon,wednesday..SAT 8..17,22:0/15",
            "fri 12..13:5/20",
            "*",
            "*-05",
            "sat *-1..7 15:00",
            "2030-10-22",
            "*-*-* 00:00:00",
            "12:00",
            "mon..fri 02:30 UTC",
            "8..20/4:10",
        ] {
            assert!(is_valid(text), "{text}");
        }
    }

    #[test]
    fn what_upstream_refuses_is_no_schedule() {
        for text in [
            "",
            "nightly",
            "02:60",
            "mon-fri 02:30",
            "5..3:00",
            "*/0",
            "every day",
            "2:30 mon",
            "02:30 ",
            "02:30pm",
            "0 2 * * *",
            "Daily",
            "*-13-01",
            "99999999999:00",
        ] {
            assert!(!is_valid(text), "{text}");
        }
    }

    #[test]
    fn an_hour_past_the_day_is_read_as_a_minute() {
        assert!(is_valid("25:00") && is_valid("24:30"));
        assert!(!is_valid("60:00"));
    }

    #[test]
    fn a_schedule_has_a_limited_length() {
        let long = "1,".repeat(64) + "1";
        assert!(is_event(&long) && !is_valid(&long));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        #[test]
        fn no_text_makes_it_panic(text in ".{0,20}", near in "[a-z0-9*/:.,UTC -]{0,24}") {
            let _ = (is_valid(&text), is_valid(&near));
        }

        #[test]
        fn every_time_of_day_is_valid(hour in 0_u32..24, minute in 0_u32..60) {
            let text = format!("{hour}:{minute:02}");
            prop_assert!(is_valid(&text));
        }
    }
}
