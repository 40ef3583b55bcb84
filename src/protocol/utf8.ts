/** Length of `text` in UTF-8 bytes; a lone surrogate counts 3, as the U+FFFD it is sent as. Allocates nothing. */
export function utf8Length(text: string): number {
  let bytes = text.length;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit < 0x80) continue;
    const isPair = (unit & 0xfc00) === 0xd800 && (text.charCodeAt(i + 1) & 0xfc00) === 0xdc00;
    if (isPair) i++; // two units, four bytes
    bytes += isPair ? 2 : unit < 0x800 ? 1 : 2;
  }
  return bytes;
}
