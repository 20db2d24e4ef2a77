//! Small wheels and packages of our own, right ones and wrong ones.

use std::fmt::Write as _;

use libdeflater::{CompressionLvl, Compressor};

/// One entry of a zip file; every field can be given a wrong value.
#[derive(Clone)]
pub struct ZipItem {
    pub name: String,
    pub local_name: String,
    pub method: u16,
    pub flags: u16,
    /// Unix mode.
    pub mode: u32,
    pub crc: u32,
    pub size: u64,
    pub stream: Vec<u8>,
    /// Sizes and offset in a zip64 field.
    pub zip64: bool,
    /// Sizes after the stream, not in the local header.
    pub descriptor: bool,
    /// Where the directory says the entry is, if elsewhere.
    pub offset: Option<u64>,
}

impl ZipItem {
    /// A compressed file.
    pub fn new(name: &str, content: &[u8]) -> Self {
        let mut compressor = Compressor::new(CompressionLvl::new(6).unwrap());
        let mut stream = vec![0; compressor.deflate_compress_bound(content.len())];
        let size = compressor.deflate_compress(content, &mut stream).unwrap();
        stream.truncate(size);
        Self { method: 8, stream, ..Self::stored(name, content) }
    }

    /// A file that is not compressed.
    pub fn stored(name: &str, content: &[u8]) -> Self {
        Self {
            name: name.to_owned(),
            local_name: name.to_owned(),
            method: 0,
            flags: 0,
            mode: 0o100_644,
            crc: crc32fast::hash(content),
            size: content.len() as u64,
            stream: content.to_vec(),
            zip64: false,
            descriptor: false,
            offset: None,
        }
    }

    pub fn executable(mut self) -> Self {
        self.mode = 0o100_755;
        self
    }
}

/// A zip file of these entries.
pub fn zip(items: &[ZipItem]) -> Vec<u8> {
    let (mut out, mut directory) = (Vec::new(), Vec::new());
    for item in items {
        let offset = item.offset.unwrap_or(out.len() as u64);
        put_local(&mut out, item);
        put_central(&mut directory, item, offset);
    }
    let (start, size) = (out.len() as u64, directory.len() as u64);
    out.extend(directory);
    if items.iter().any(|item| item.zip64) {
        let record = out.len() as u64;
        out.extend(b"PK\x06\x06");
        out.extend(44u64.to_le_bytes());
        out.extend([45, 0, 45, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        for number in [items.len() as u64, items.len() as u64, size, start] {
            out.extend(number.to_le_bytes());
        }
        out.extend(b"PK\x06\x07\0\0\0\0");
        out.extend(record.to_le_bytes());
        out.extend(1u32.to_le_bytes());
    }
    out.extend(b"PK\x05\x06\0\0\0\0");
    out.extend((items.len() as u16).to_le_bytes());
    out.extend((items.len() as u16).to_le_bytes());
    out.extend((size as u32).to_le_bytes());
    out.extend((start as u32).to_le_bytes());
    out.extend([0; 2]);
    out
}

fn put_local(out: &mut Vec<u8>, item: &ZipItem) {
    out.extend(b"PK\x03\x04");
    put_common(out, item, item.descriptor);
    out.extend((item.local_name.len() as u16).to_le_bytes());
    out.extend(0u16.to_le_bytes());
    out.extend(item.local_name.as_bytes());
    out.extend(&item.stream);
    if item.descriptor {
        out.extend(b"PK\x07\x08");
        out.extend(item.crc.to_le_bytes());
        out.extend((item.stream.len() as u32).to_le_bytes());
        out.extend((item.size as u32).to_le_bytes());
    }
}

fn put_central(out: &mut Vec<u8>, item: &ZipItem, offset: u64) {
    let mut extra = Vec::new();
    if item.zip64 {
        extra.extend([1, 0, 24, 0]);
        for number in [item.size, item.stream.len() as u64, offset] {
            extra.extend(number.to_le_bytes());
        }
    }
    out.extend(b"PK\x01\x02");
    out.extend([20, 3]);
    put_common(out, item, false);
    out.extend((item.name.len() as u16).to_le_bytes());
    out.extend((extra.len() as u16).to_le_bytes());
    out.extend([0; 6]);
    out.extend((item.mode << 16).to_le_bytes());
    out.extend(if item.zip64 { u32::MAX } else { offset as u32 }.to_le_bytes());
    out.extend(item.name.as_bytes());
    out.extend(extra);
}

/// Version, flags, method, time, CRC and sizes: the part that both headers have.
fn put_common(out: &mut Vec<u8>, item: &ZipItem, sizes_follow: bool) {
    let flags = item.flags | u16::from(sizes_follow) << 3;
    for field in [20, flags, item.method, 0, 33] {
        out.extend(field.to_le_bytes());
    }
    let mut fields = [item.crc, item.stream.len() as u32, item.size as u32];
    if sizes_follow {
        fields = [0; 3];
    } else if item.zip64 {
        fields = [item.crc, u32::MAX, u32::MAX];
    }
    fields.iter().for_each(|field| out.extend(field.to_le_bytes()));
}

/// The entries of a right wheel: these files, and the `.dist-info` folder for them.
pub fn wheel_items(name: &str, files: Vec<ZipItem>) -> Vec<ZipItem> {
    let info = format!("{name}-1.0.dist-info");
    let mut items = files;
    let metadata = format!("Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n");
    items.push(ZipItem::new(&format!("{info}/METADATA"), metadata.as_bytes()));
    let wheel = b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n";
    items.push(ZipItem::new(&format!("{info}/WHEEL"), wheel));
    let mut record = String::new();
    for item in &items {
        writeln!(record, "{},sha256=x,{}", item.name, item.size).unwrap();
    }
    writeln!(record, "{info}/RECORD,,").unwrap();
    items.push(ZipItem::new(&format!("{info}/RECORD"), record.as_bytes()));
    items
}

/// A right wheel.
pub fn wheel(name: &str, files: Vec<ZipItem>) -> Vec<u8> {
    zip(&wheel_items(name, files))
}

/// One entry of a package's `data.tar`: path, type, mode, content or link target.
pub type TarItem<'a> = (&'a str, tar::EntryType, u32, &'a str);

/// A tar archive.
#[expect(clippy::disallowed_methods, reason = "what a package holds is no layer")]
pub fn tar(items: &[TarItem<'_>]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (path, kind, mode, content) in items {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(*kind);
        header.set_mode(*mode);
        header.set_mtime(1_700_000_000);
        header.set_uid(7);
        header.set_gid(7);
        if matches!(kind, tar::EntryType::Link | tar::EntryType::Symlink) {
            header.set_size(0);
            builder.append_link(&mut header, path, content).unwrap();
        } else {
            header.set_size(content.len() as u64);
            // `append_data` refuses the wrong paths that some tests need.
            let name = &mut header.as_old_mut().name;
            name[..path.len()].copy_from_slice(path.as_bytes());
            header.set_cksum();
            builder.append(&header, content.as_bytes()).unwrap();
        }
    }
    builder.into_inner().unwrap()
}

/// A Debian package with this control file, and `data.tar` under the given name.
pub fn package(control: &str, data_name: &str, data: &[u8]) -> Vec<u8> {
    let control = tar(&[("./control", tar::EntryType::Regular, 0o644, control)]);
    ar(&[("debian-binary", b"2.0\n"), ("control.tar", &control), (data_name, data)])
}

/// An `ar` archive.
pub fn ar(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut out = b"!<arch>\n".to_vec();
    for (name, content) in members {
        let size = content.len();
        out.extend(
            format!("{name:<16}{:<12}{:<6}{:<6}{:<8}{size:<10}`\n", 0, 0, 0, 100_644).as_bytes(),
        );
        out.extend(*content);
        out.resize(out.len() + size % 2, b'\n');
    }
    out
}

/// The control file of a package of version 1.0.
pub fn control(name: &str) -> String {
    format!("Package: {name}\nVersion: 1.0\nArchitecture: amd64\nDescription: a test\n")
}
