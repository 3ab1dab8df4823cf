// How much larger than usual the page's text is: marks on a canvas grow with it.

const USUAL_PX = 14;

export function textScale(): number {
  return parseFloat(getComputedStyle(document.documentElement).fontSize) / USUAL_PX || 1;
}
