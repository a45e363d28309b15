//! Calendar events: the schedule of a job.
//!
//! Follows `parse_calendar_event_incomplete` of proxmox-rs `proxmox-time/src/calendar_event.rs`:
//! `[WEEKDAYS] [[YEAR-]MONTH-DAY] [[HOUR:]MINUTE[:SECOND]] [UTC]`, or a word such as `daily`. Only whether a text is
//! one is answered here; upstream drops a schedule that is none, and with it the job.

use std::collections::BTreeSet;

use jiff::civil::Date;

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

/// Whether `text`, a schedule upstream accepts, names dates and none of them is `first` or later. On which day of the
/// week a date falls is not looked at.
pub(crate) fn is_over(text: &str, first: Date) -> bool {
    let days =
        if text.starts_with(|first: char| first.is_ascii_alphabetic()) { weekdays(text) } else { None };
    let rest = days.map_or(text, blanks);
    let Some(after) = date(rest) else { return false };
    let parts: Vec<&str> = rest.strip_suffix(after).unwrap_or_default().split('-').collect();
    let (year, month, day) = match parts.as_slice() {
        [year, month, day] => (*year, *month, *day),
        [month, day] => ("*", *month, *day),
        _ => return false,
    };
    let first_year = u32::try_from(first.year()).unwrap_or_default();
    let years = first_year..first_year.saturating_add(YEARS_LOOKED_AT);
    let is_open =
        year.starts_with('*') || members(year, YEARS).range(first_year + YEARS_LOOKED_AT..).next().is_some();
    let is_in = |list: &BTreeSet<u32>, value: u32| list.contains(&value);
    let (listed, months, days) = (members(year, YEARS), members(month, MONTHS), members(day, DAYS_OF_MONTH));
    // Years of two digits are left alone.
    if listed.first().is_some_and(|year| *year < 100) && !year.starts_with('*') {
        return false;
    }
    let comes = years.filter(|each| is_in(&listed, *each)).any(|year| {
        months.iter().any(|month| {
            days.iter().any(|day| {
                let narrow = |value: u32| i8::try_from(value).ok();
                let date = i16::try_from(year).ok().zip(narrow(*month)).zip(narrow(*day));
                date.and_then(|((year, month), day)| Date::new(year, month, day).ok())
                    .is_some_and(|date| date >= first)
            })
        })
    });
    !comes
        && (!is_open
            || !(1..=12).any(|month| is_in(&months, month) && days.iter().any(|day| fits(month, *day))))
}

/// How many years ahead each date is tried; the 29th of February is among them at least once.
const YEARS_LOOKED_AT: u32 = 9;

/// Whether a month ever has this day.
fn fits(month: u32, day: u32) -> bool {
    let last = match month {
        2 => 29,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    (1..=last).contains(&day)
}

/// The values of a part that is valid.
fn members(part: &str, limit: u32) -> BTreeSet<u32> {
    let mut members = BTreeSet::new();
    for item in part.split(',') {
        let (range, step) =
            item.split_once('/').map_or((item, None), |(range, step)| (range, step.parse().ok()));
        let (from, to) = match range.split_once("..") {
            _ if range == "*" => (Some(0), limit - 1),
            Some((from, to)) => (from.parse().ok(), to.parse().unwrap_or(limit - 1)),
            None => {
                let value = range.parse().ok();
                (value, if step.is_some() { limit - 1 } else { value.unwrap_or_default() })
            }
        };
        let step = step.unwrap_or(1_usize).max(1);
        members.extend((from.unwrap_or(0)..=to.min(limit - 1)).step_by(step));
    }
    members
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
    fn a_schedule_is_over_when_none_of_its_dates_is_still_to_come() {
        let first = Date::new(2026, 11, 20).unwrap();
        for text in [
            "2020-01-01 00:00",
            "*-2-30 00:00",
            "2-30",
            "2019..2024-*-*",
            "2026-11-19 21:00",
            "2020/2000-1-1",
        ] {
            assert!(is_valid(text) && is_over(text, first), "{text}");
        }
        for text in [
            "21:00",
            "daily",
            "mon..fri 02:30",
            "sat *-1..7 15:00",
            "2030-10-22",
            "2100-1-1",
            "*-2-29 00:00",
            "2026-11-20",
            "*-*-* 00:00:00",
            "*/2-1-1",
            "2020..2030/5-*-1",
            "2020,2027-1-1",
            "*-05",
        ] {
            assert!(is_valid(text) && !is_over(text, first), "{text}");
        }
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
