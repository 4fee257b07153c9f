/** Draws the page's icons: strokes on a grid of 24 in the colour of the surrounding text. */
import type { ComponentChildren, JSX } from "preact";

function icon(children: ComponentChildren): () => JSX.Element {
  return () => (
    <svg class="icon" viewBox="0 0 24 24" aria-hidden="true" focusable="false">
      {children}
    </svg>
  );
}

export const SendIcon = icon(<path d="M12 19V5M6 11l6-6 6 6" />);
export const StopIcon = icon(<rect x="7" y="7" width="10" height="10" rx="2" class="filled" />);
export const CloseIcon = icon(<path d="M7 7l10 10M17 7L7 17" />);
export const NewChatIcon = icon(<path d="M12 5v14M5 12h14" />);
export const RetryIcon = icon(<path d="M19 12a7 7 0 1 1-2.2-5.1M19 4v4.5h-4.5" />);
export const DownIcon = icon(<path d="M12 5v14M6 13l6 6 6-6" />);
export const ChevronIcon = icon(<path d="M7 10l5 5 5-5" />);
export const WarningIcon = icon(
  <path d="M12 8v5M12 16.5v.01M12 3.5a8.5 8.5 0 1 1 0 17 8.5 8.5 0 0 1 0-17Z" />,
);
export const ParametersIcon = icon(<path d="M4 8h9M19 8h1M4 16h1M11 16h9M16 5.5v5M8 13.5v5" />);
export const LeftIcon = icon(<path d="M14 6l-6 6 6 6" />);
export const RightIcon = icon(<path d="M10 6l6 6-6 6" />);
export const MinusIcon = icon(<path d="M5 12h14" />);
export const MenuIcon = icon(<path d="M4 7h16M4 12h16M4 17h10" />);
export const EditIcon = icon(<path d="M5 19l1-4L16.5 4.5l3 3L9 18l-4 1ZM14 7l3 3" />);
export const CopyIcon = icon(<path d="M9 9h10v11H9zM5 15V4h10" />);
export const TrashIcon = icon(<path d="M5 7h14M10 7V4.5h4V7M7 7l.8 12.5h8.4L17 7" />);
export const UpIcon = icon(
  <path d="M8 11l3.5-7c1.5 0 2.3 1 2 2.500L13 9.500h5.500l-1.500 9H8zM8 11H4.500v7.500H8" />,
);
export const ThumbDownIcon = icon(
  <path d="M16 13l-3.500 7c-1.500 0-2.300-1-2-2.500l.500-3H5.500l1.500-9h9zM16 13h3.500V5.500H16" />,
);
export const ContinueIcon = icon(<path d="M4 7h16M4 12h9M4 17h5M14 17h6M17 14l3 3-3 3" />);
export const ExplainIcon = icon(
  <>
    <path d="M2.5 12C5 7.500 8.300 5.500 12 5.500s7 2 9.500 6.500c-2.500 4.500-5.800 6.500-9.500 6.500S5 16.500 2.500 12Z" />
    <circle cx="12" cy="12" r="3" class="filled" />
  </>,
);
export const FlagIcon = icon(<path d="M6 20V4.500h11l-2 4 2 4H6" />);
export const ThemeIcon = icon(<path d="M12 4a8 8 0 1 0 0 16zM12 4a8 8 0 0 1 0 16" />);
export const CompareIcon = icon(<path d="M4.500 5.500h6v13h-6zM13.500 5.500h6v13h-6z" />);
export const ClusterIcon = icon(<path d="M4 5h16v5H4zM4 14h16v5H4zM7.500 7.500v.01M7.500 16.500v.01" />);
export const HelpIcon = icon(
  <path d="M9.500 9.500a2.500 2.500 0 1 1 3.600 2.200c-.800.400-1.100 1-1.100 1.800M12 17v.01M12 3.500a8.500 8.500 0 1 1 0 17 8.500 8.500 0 0 1 0-17Z" />,
);
export const CameraIcon = icon(
  <path d="M4 8h3.500l1.500-2.500h6L16.500 8H20v11H4zM12 10.200a3 3 0 1 1 0 6 3 3 0 0 1 0-6Z" />,
);
export const CropIcon = icon(<path d="M7 3v14h14M3 7h14v14" />);
export const DiceIcon = icon(<path d="M5 5h14v14H5zM9 9v.01M15 15v.01M15 9v.01M9 15v.01" />);
export const ImageIcon = icon(
  <>
    <rect x="3.5" y="4.5" width="17" height="15" rx="3" />
    <circle cx="9" cy="10" r="1.6" />
    <path d="M4 17l5-4 3.5 2.5L16 12l4.5 4" />
  </>,
);

export function Emblem(): JSX.Element {
  return (
    <svg class="emblem" viewBox="0 0 24 24" aria-hidden="true" focusable="false">
      <path
        fill-rule="evenodd"
        d="M12 1.5c3.4 4.4 7.5 8 7.5 13a7.5 7.5 0 0 1-15 0c0-5 4.1-8.6 7.5-13Zm0 9.25a4 4 0 1 0 0 8 4 4 0 0 0 0-8Z"
      />
      <circle cx="12.9" cy="13.9" r="1.7" />
    </svg>
  );
}
