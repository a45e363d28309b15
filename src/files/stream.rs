//! Reading a file piece by piece: for files that are too large to be held, such as the package lists of apt.

use std::io::{Error, ErrorKind, Read};
use std::time::Instant;

use super::TroubleKind;
use super::root::errno_of;

/// A file of which no more than a limit is read, and only until the deadline of the run.
pub(super) struct Stream {
    file: Box<dyn Read + Send>,
    limit: u64,
    end: Instant,
    /// How many bytes were read.
    pub(super) read: u64,
    /// What ended the reading, if it was not the end of the file.
    pub(super) trouble: Option<TroubleKind>,
}

impl Stream {
    pub(super) fn new(file: Box<dyn Read + Send>, limit: u64, end: Instant) -> Self {
        Self { file, limit, end, read: 0, trouble: None }
    }

    fn give_up(&mut self, why: TroubleKind) -> Error {
        let error = Error::other(format!("the file {why}"));
        self.trouble = Some(why);
        error
    }
}

impl Read for Stream {
    fn read(&mut self, room: &mut [u8]) -> Result<usize, Error> {
        if Instant::now() >= self.end {
            return Err(self.give_up(TroubleKind::TimedOut));
        }
        let got = match self.file.read(room) {
            Err(error) if error.kind() == ErrorKind::Interrupted => return Err(error),
            Err(error) => return Err(self.give_up(TroubleKind::from(errno_of(&error)))),
            Ok(got) => got,
        };
        self.read = self.read.saturating_add(got as u64);
        if self.read > self.limit {
            return Err(self.give_up(TroubleKind::TooLarge { limit: self.limit }));
        }
        Ok(got)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::{Files, InputOutcome, Node, Tree};
    use super::*;

    fn all(stream: &mut dyn Read) -> Option<usize> {
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).ok()
    }

    #[test]
    fn a_file_comes_in_pieces_and_is_recorded_with_its_size() {
        let mut tree = Tree::default();
        tree.insert("/a", Node::file(vec![b'x'; 100_000]));
        tree.insert("/d", Node::folder());
        let files = Files::memory(tree);
        assert_eq!(files.stream("/a", 100_000, all), Ok(Some(100_000)));
        assert_eq!(
            files.stream("/a", 99_999, all).unwrap_err().kind,
            TroubleKind::TooLarge { limit: 99_999 }
        );
        assert_eq!(files.stream("/b", 1, all).unwrap_err().kind, TroubleKind::Missing);
        assert_eq!(files.stream("/d", 1, all).unwrap_err().kind, TroubleKind::NotAFile);
        let outcomes: Vec<_> = files.inputs().into_iter().map(|input| input.outcome).collect();
        assert_eq!(outcomes[0], InputOutcome::Trouble(TroubleKind::TooLarge { limit: 99_999 }));
    }

    #[test]
    fn what_is_left_unread_is_no_trouble() {
        let mut tree = Tree::default();
        tree.insert("/a", Node::file("abc"));
        let files = Files::memory(tree);
        assert_eq!(files.stream("/a", 10, |_| 1), Ok(1));
        assert_eq!(files.inputs()[0].outcome, InputOutcome::Read { bytes: 0 });
    }

    #[test]
    fn after_the_deadline_nothing_is_read() {
        let past = Instant::now().checked_sub(Duration::from_millis(1)).unwrap();
        let mut stream = Stream::new(Box::new(std::io::Cursor::new(vec![1])), 10, past);
        assert_eq!(all(&mut stream), None);
        assert_eq!(stream.trouble, Some(TroubleKind::TimedOut));
    }
}
