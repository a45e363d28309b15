//! How many bytes a run may read.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::{Answer, CLUSTER_LIMIT, RUN_BUDGET, TroubleKind};

/// What is left to read, shared by the readers of one run.
#[derive(Clone)]
pub(super) struct Budget {
    left: Arc<AtomicU64>,
}

impl Default for Budget {
    fn default() -> Self {
        Self { left: Arc::new(AtomicU64::new(RUN_BUDGET)) }
    }
}

impl Budget {
    /// Reads `path` with the smallest limit that holds. Readers side by side may go over the budget by one file each.
    pub(super) fn spend(
        &self,
        path: &str,
        limit: u64,
        read: impl FnOnce(u64) -> Answer<Vec<u8>>,
    ) -> Answer<Vec<u8>> {
        let left = self.left.load(Ordering::Relaxed);
        let limit = if path.starts_with("/etc/pve/") { limit.min(CLUSTER_LIMIT) } else { limit };
        if left == 0 {
            return Err(TroubleKind::TooLarge { limit: RUN_BUDGET });
        }
        let answer = read(limit.min(left));
        let bytes = match &answer {
            Ok(bytes) => bytes.len() as u64,
            // Not even the rest is enough for it: the run has read its share.
            Err(TroubleKind::TooLarge { .. }) if left < limit => {
                self.left.store(0, Ordering::Relaxed);
                return Err(TroubleKind::TooLarge { limit: RUN_BUDGET });
            }
            Err(_) => 0,
        };
        // Always `Some`: the update cannot fail.
        let _ = self
            .left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| Some(left.saturating_sub(bytes)));
        answer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cluster_file_system_has_a_limit_of_its_own() {
        let budget = Budget::default();
        let mut limits = Vec::new();
        for path in ["/etc/pve/user.cfg", "/etc/passwd"] {
            let answer = budget.spend(path, 4 * CLUSTER_LIMIT, |limit| {
                limits.push(limit);
                Ok(Vec::new())
            });
            assert_eq!(answer, Ok(Vec::new()));
        }
        assert_eq!(limits, [CLUSTER_LIMIT, 4 * CLUSTER_LIMIT]);
    }

    #[test]
    fn what_the_run_has_read_is_counted_and_in_the_end_nothing_is_read_any_more() {
        let budget = Budget { left: Arc::new(AtomicU64::new(10)) };
        let read = |limit: u64| if limit < 6 { Err(TroubleKind::TooLarge { limit }) } else { Ok(vec![0; 6]) };
        assert_eq!(budget.spend("/a", 100, read).map(|bytes| bytes.len()), Ok(6));
        let spent = Err(TroubleKind::TooLarge { limit: RUN_BUDGET });
        assert_eq!(budget.spend("/b", 100, read), spent);
        assert_eq!(budget.spend("/c", 1, |_| Ok(Vec::new())), spent);
    }
}
