//! QR codes for invites.

use convite_core::{ErrorCode, Problem};
use qrcode::render::svg::Color;
use qrcode::{EcLevel, QrCode};

/// Minimum width and height, in pixels.
const SIDE_MIN: u32 = 240;

/// Encodes `text` as a QR code (ISO/IEC 18004): an SVG document, always black on white.
///
/// # Errors
/// Returns `internal` for more than about 2,300 bytes, the capacity of a code.
pub(super) fn svg(text: &str) -> Result<String, Problem> {
    let code = QrCode::with_error_correction_level(text, EcLevel::M).map_err(|error| {
        Problem::new(
            ErrorCode::Internal,
            format!("cannot make a QR code: {error}"),
        )
    })?;
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
    fn a_qr_code_is_a_picture_without_text() {
        let svg = svg("https://192.0.2.1:50051/#join=abc123").unwrap();
        assert!(svg.contains("<svg") && svg.contains("<path"), "{svg}");
        assert!(!svg.contains("abc123") && !svg.contains("<script"));
        assert!(super::svg(&"x".repeat(3000)).is_err());
    }
}
