//! QR codes, for a page to show and a phone to read.

use convite_core::{ErrorCode, Problem};
use qrcode::render::svg::Color;
use qrcode::{EcLevel, QrCode};

/// The smallest width and height that it is drawn for, in pixels.
const SIDE_MIN: u32 = 240;

/// `text` as a QR code (ISO/IEC 18004): an SVG document, black on white whatever is around it.
///
/// # Errors
/// `internal` for more text than a code holds, about 2,300 bytes.
pub(super) fn svg(text: &str) -> Result<String, Problem> {
    let code = QrCode::with_error_correction_level(text, EcLevel::M)
        .map_err(|error| Problem::new(ErrorCode::Internal, format!("no QR code: {error}")))?;
    Ok(code
        .render()
        .min_dimensions(SIDE_MIN, SIDE_MIN)
        .dark_color(Color("#000"))
        .light_color(Color("#fff"))
        .build())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_a_picture_that_holds_no_text() {
        let svg = svg("https://192.0.2.1:50051/#join=abc123").unwrap();
        assert!(svg.contains("<svg") && svg.contains("<path"), "{svg}");
        assert!(!svg.contains("abc123") && !svg.contains("<script"));
        assert!(super::svg(&"x".repeat(3000)).is_err());
    }
}
