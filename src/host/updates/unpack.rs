//! Package lists as apt keeps them: plain, or compressed where `Acquire::GzipIndexes` is set.

use std::io::{self, BufReader, Error, ErrorKind, Read};

use lz4_flex::frame::FrameDecoder;
use lzma_rust2::XzReader;
use miniz_oxide::inflate::stream::{InflateState, inflate};
use miniz_oxide::{DataFormat, MZError, MZFlush, MZStatus};
use ruzstd::decoding::StreamingDecoder;

/// How many bytes are read from a file at a time.
const PIECE: usize = 64 * 1024;

/// Most memory an xz file may ask for, in KiB: `xz -6`, which apt uses, needs 8 MiB.
const XZ_MEMORY: u32 = 16 * 1024;

/// Largest window of a zst file: that of `zstd -19`, which apt uses.
const ZST_WINDOW: u64 = 8 * 1024 * 1024;

/// How a list is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packing {
    /// Not at all.
    Plain,
    /// Zstandard.
    Zst,
    /// LZ4 frames.
    Lz4,
    /// gzip.
    Gz,
    /// xz.
    Xz,
    /// A compression that is not read here.
    Other,
}

/// Every ending of a list's name, in the order in which apt looks for them.
pub(super) const ENDINGS: [(&str, Packing); 7] = [
    ("", Packing::Plain),
    (".zst", Packing::Zst),
    (".lz4", Packing::Lz4),
    (".gz", Packing::Gz),
    (".xz", Packing::Xz),
    (".bz2", Packing::Other),
    (".lzma", Packing::Other),
];

/// The text of a list. Reading it ends with an error where the compressed file is damaged or cut short.
pub(super) fn unpacked<'f>(file: &'f mut dyn Read, packing: Packing) -> io::Result<Box<dyn Read + 'f>> {
    Ok(match packing {
        Packing::Plain => Box::new(file),
        Packing::Lz4 => Box::new(Lz4::new(file)),
        Packing::Gz => Box::new(Gz::new(file)),
        Packing::Xz => {
            Box::new(XzReader::new_mem_limit(BufReader::with_capacity(PIECE, file), true, XZ_MEMORY))
        }
        Packing::Zst => {
            let source = BufReader::with_capacity(PIECE, file);
            let decoder = StreamingDecoder::new_with_max_window_size(source, ZST_WINDOW);
            Box::new(decoder.map_err(|error| damaged(&error.to_string()))?)
        }
        Packing::Other => return Err(damaged("its compression is not read here")),
    })
}

fn damaged(what: &str) -> Error {
    Error::new(ErrorKind::InvalidData, what.to_owned())
}

/// LZ4 frames. The decoder takes the end of the file between two blocks for the end of the frame; this one does not.
struct Lz4<'f> {
    decoder: FrameDecoder<Tail<BufReader<&'f mut dyn Read>>>,
}

/// The last bytes that were read, and whether the frame has a checksum behind its end mark.
struct Tail<R> {
    inner: R,
    head: Vec<u8>,
    last: [u8; KEPT],
}

/// Bytes of an end mark and a checksum.
const KEPT: usize = 8;

impl<R> Tail<R> {
    /// Magic number and flags.
    const HEAD: usize = 5;

    /// The flag of a frame that ends with a checksum of its content.
    const CHECKSUM: u8 = 1 << 2;

    /// Whether the frame ended with its end mark.
    fn ended(&self) -> bool {
        let checksum = self.head.get(Self::HEAD - 1).is_some_and(|flags| flags & Self::CHECKSUM != 0);
        let place = if checksum { 0..KEPT / 2 } else { KEPT / 2..KEPT };
        self.last.get(place).is_some_and(|mark| mark.iter().all(|byte| *byte == 0))
    }
}

impl<R: Read> Read for Tail<R> {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        let got = self.inner.read(room)?;
        let bytes = room.get(..got).unwrap_or_default();
        let missing = Self::HEAD.saturating_sub(self.head.len());
        self.head.extend(bytes.iter().take(missing));
        let new = bytes.get(got.saturating_sub(KEPT)..).unwrap_or_default();
        self.last.rotate_left(new.len());
        if let Some(end) = self.last.get_mut(KEPT.saturating_sub(new.len())..) {
            end.copy_from_slice(new);
        }
        Ok(got)
    }
}

impl<'f> Lz4<'f> {
    fn new(file: &'f mut dyn Read) -> Self {
        let inner = BufReader::with_capacity(PIECE, file);
        Self { decoder: FrameDecoder::new(Tail { inner, head: Vec::new(), last: [1; 8] }) }
    }
}

impl Read for Lz4<'_> {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        let got = self.decoder.read(room)?;
        if got == 0 && !room.is_empty() && !self.decoder.get_ref().ended() {
            return Err(Error::new(ErrorKind::UnexpectedEof, "it has no end"));
        }
        Ok(got)
    }
}

/// gzip members (RFC 1952). Of the trailer only the size is compared: the list's own size is known from elsewhere.
struct Gz<'f> {
    file: &'f mut dyn Read,
    buffer: Vec<u8>,
    start: usize,
    at_end: bool,
    member: Option<Box<InflateState>>,
    size: u32,
    first: bool,
}

impl<'f> Gz<'f> {
    fn new(file: &'f mut dyn Read) -> Self {
        let buffer = Vec::new();
        Self { file, buffer, start: 0, at_end: false, member: None, size: 0, first: true }
    }

    fn pending(&self) -> &[u8] {
        self.buffer.get(self.start..).unwrap_or_default()
    }

    /// Reads more bytes behind those that are left.
    fn fill(&mut self) -> io::Result<()> {
        self.buffer.drain(..self.start.min(self.buffer.len()));
        self.start = 0;
        let kept = self.buffer.len();
        self.buffer.resize(kept.saturating_add(PIECE), 0);
        let room = self.buffer.get_mut(kept..).unwrap_or_default();
        let got = read_some(self.file, room)?;
        self.buffer.truncate(kept.saturating_add(got));
        self.at_end = got == 0;
        Ok(())
    }

    /// Takes `count` bytes of a header or a trailer.
    fn take(&mut self, count: usize) -> io::Result<Vec<u8>> {
        while self.pending().len() < count && !self.at_end {
            self.fill()?;
        }
        let bytes = self.pending().get(..count).map(<[u8]>::to_vec);
        let bytes = bytes.ok_or_else(|| Error::new(ErrorKind::UnexpectedEof, "it has no end"))?;
        self.start = self.start.saturating_add(count);
        Ok(bytes)
    }

    /// A text of the header, ended by a zero.
    fn skip_text(&mut self) -> io::Result<()> {
        while self.take(1)? != [0] {}
        Ok(())
    }

    /// Begins the next member; false at the end of the file.
    fn begin(&mut self) -> io::Result<bool> {
        const HEADER_CHECKSUM: u8 = 1 << 1;
        const EXTRA: u8 = 1 << 2;
        const NAME: u8 = 1 << 3;
        const COMMENT: u8 = 1 << 4;
        if self.pending().is_empty() && !self.at_end {
            self.fill()?;
        }
        if self.pending().is_empty() && !self.first {
            return Ok(false);
        }
        let header = self.take(10)?;
        let [0x1f, 0x8b, 8, flags, ..] = header.as_slice() else {
            return Err(damaged("it is no gzip file"));
        };
        if flags & EXTRA != 0 {
            let length = self.take(2)?;
            let length = length.iter().rev().fold(0, |sum, byte| (sum << 8) | usize::from(*byte));
            self.take(length)?;
        }
        for text in [NAME, COMMENT] {
            if flags & text != 0 {
                self.skip_text()?;
            }
        }
        if flags & HEADER_CHECKSUM != 0 {
            self.take(2)?;
        }
        self.first = false;
        self.size = 0;
        self.member = Some(InflateState::new_boxed(DataFormat::Raw));
        Ok(true)
    }

    /// Ends a member: checksum and size.
    fn finish(&mut self) -> io::Result<()> {
        self.member = None;
        let trailer = self.take(8)?;
        if trailer.get(4..) == Some(self.size.to_le_bytes().as_slice()) {
            return Ok(());
        }
        Err(damaged("its size is not the one it names"))
    }
}

impl Read for Gz<'_> {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        if room.is_empty() {
            return Ok(0);
        }
        loop {
            let Some(mut member) = self.member.take() else {
                if self.begin()? {
                    continue;
                }
                return Ok(0);
            };
            if self.pending().is_empty() && !self.at_end {
                self.fill()?;
            }
            let done = inflate(&mut member, self.pending(), room, MZFlush::None);
            self.start = self.start.saturating_add(done.bytes_consumed);
            // The size in the trailer is that modulo 2^32.
            self.size = self.size.wrapping_add(u32::try_from(done.bytes_written).unwrap_or(u32::MAX));
            match done.status {
                Ok(MZStatus::StreamEnd) => self.finish()?,
                Ok(_) => self.member = Some(member),
                Err(MZError::Buf) if !self.at_end => self.member = Some(member),
                Err(MZError::Buf) => return Err(Error::new(ErrorKind::UnexpectedEof, "it has no end")),
                Err(_) => return Err(damaged("its compressed data is damaged")),
            }
            if done.bytes_written > 0 {
                return Ok(done.bytes_written);
            }
        }
    }
}

/// One read, begun again where a signal ended it.
pub(super) fn read_some(file: &mut dyn Read, room: &mut [u8]) -> io::Result<usize> {
    loop {
        match file.read(room) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            answer => return answer,
        }
    }
}
