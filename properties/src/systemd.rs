//! systemd.syntax(7), read independently of what writes it.

/// Lines of a unit file. systemd ends a line at a line feed, a carriage return or a NUL.
pub fn lines(unit: &str) -> impl Iterator<Item = &str> {
    unit.split(['\n', '\r', '\0'])
}

/// The words of a command line or an assignment: quotes and escapes undone, `%%` as `%`.
pub fn words(value: &str) -> Vec<Vec<u8>> {
    let mut words: Vec<Vec<u8>> = Vec::new();
    let mut bytes = value.bytes().peekable();
    let mut quote = None;
    let mut open = false;
    while let Some(byte) = bytes.next() {
        let blank = quote.is_none() && matches!(byte, b' ' | b'\t');
        if blank {
            open = false;
            continue;
        }
        if !open {
            words.push(Vec::new());
            open = true;
        }
        let word = words.last_mut().unwrap();
        match byte {
            b'"' | b'\'' if quote == Some(byte) => quote = None,
            b'"' | b'\'' if quote.is_none() => quote = Some(byte),
            b'%' => {
                assert_eq!(bytes.next(), Some(b'%'), "a specifier in {value:?}");
                word.push(b'%');
            }
            b'\\' => word.push(escape(&mut bytes).unwrap_or_else(|| panic!("an unknown escape in {value:?}"))),
            other => word.push(other),
        }
    }
    assert_eq!(quote, None, "a quote without an end in {value:?}");
    words
}

fn escape(bytes: &mut impl Iterator<Item = u8>) -> Option<u8> {
    Some(match bytes.next()? {
        b'n' => b'\n',
        b't' => b'\t',
        b'r' => b'\r',
        b'x' => {
            let mut digit = || char::from(bytes.next()?).to_digit(16);
            u8::try_from(digit()? * 16 + digit()?).ok()?
        }
        same @ (b'\\' | b'"' | b'\'') => same,
        _ => return None,
    })
}
