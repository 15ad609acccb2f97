// The script of every page, for what Streamlit cannot do. It contains no less-than sign: Streamlit's sanitizer would
// then drop the script.
(() => {
  const box = () => document.querySelector('[data-testid="stChatInputTextArea"]')
  const typing = () => document.activeElement.matches('input, textarea, select, [contenteditable="true"]')

  // Focus on the page Chat: the composer at the start and after an answer, and a query while it is edited. Phones get
  // no focus, because it would open the keyboard. If the composer is hidden, a step of the story is scrolled to its top.
  const focus = left => {
    const field = document.querySelector('[class*="st-key-edited-"] textarea')
    if (field) return field.focus(), show(field, 50)
    if (document.querySelector('[data-state^="edited "]')) return left && setTimeout(focus, 100, left - 1)
    return compose(left)
  }
  const compose = left => {
    const field = box()
    if (field && !field.offsetParent) return document.querySelector('.stMain').scrollTo(0, 0)
    if (!matchMedia('(hover: hover)').matches) return
    if (field && !field.disabled) return typing() || field.focus({ preventScroll: true })
    if (left) setTimeout(focus, 100, left - 1)
  }

  // Scrolling: to the end when a query is sent from further up. Streamlit scrolls to the end of a growing page, so four
  // elements are kept in sight until the page has been idle for five seconds, or until the visitor's next action: a query
  // that is edited, the strip above opened reasons, a model that is tried, and an exam that shrinks as it begins again.
  const idle = () => document.querySelector('[data-testid="stApp"]')?.dataset.testScriptState !== 'running'
  const show = (field, left) => {
    if (!field.isConnected) return compose(left)
    field.scrollIntoView({ block: 'nearest' })
    if (left) window.zooterHeld = setTimeout(show, 100, field, left - idle())
  }
  const reveal = left => { // shows a training's progress, then its result, which is drawn below the button
    const result = document.querySelector('.st-key-training')
    result?.scrollIntoView({ block: 'nearest' })
    const ended = result?.querySelector('h2, [data-testid="stAlert"]')
    if (left) window.zooterHeld = setTimeout(reveal, 100, ended ? left - 1 : left)
  }
  const follow = left => {
    const main = document.querySelector('.stMain')
    main.scrollTo(0, main.scrollHeight)
    if (left) window.zooterHeld = setTimeout(follow, 100, left - 1)
  }
  const stay = (below, left) => { // keeps the turns in place while earlier ones are drawn above them
    const main = document.querySelector('.stMain')
    main.scrollTop = main.scrollHeight - below
    if (left) window.zooterHeld = setTimeout(stay, 50, below, left - idle())
  }
  if (document.querySelector('[data-state]')) focus(100)
  if (document.querySelector('[data-state^="sent "]')) follow(10)

  // The rest runs once per tab.
  if (window.zooterSlash) return
  window.zooterSlash = true

  // History: if a page changes its address without a click or key of the visitor, e.g. to add the id of a conversation,
  // the change replaces the latest entry of the history. One step back then undoes one action of the visitor.
  const push = history.pushState.bind(history)
  let pressed = false
  const press = () => { pressed = true }
  ['click', 'keydown'].forEach(kind => document.addEventListener(kind, press, true))
  history.pushState = (...entry) => {
    if (pressed) push(...entry)
    else history.replaceState(...entry)
    pressed = false
  }

  // Keys: `/` moves the focus to the composer, `?` shows the shortcuts. In the list of conversations, Tab stops once for
  // each conversation, and the arrow keys move between its buttons. Enter does not send a query while it completes a
  // word of an input method (Japanese, Chinese): Safari marks such keys only by the code 229.
  document.addEventListener('keydown', event => {
    if (event.key === 'Enter' && event.keyCode === 229) return event.stopPropagation()
    const entry = document.activeElement.closest('[class*="st-key-entry-"]')
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key]
    if (entry && step) {
      const buttons = [...entry.querySelectorAll('button')].filter(button => button.offsetParent)
      return buttons[buttons.indexOf(document.activeElement) + step]?.focus()
    }
    if (event.ctrlKey || event.metaKey || typing() || !box()) return
    if (event.key === '?') return document.querySelector('.st-key-shortcuts button')?.click()
    if (event.key !== '/') return
    event.preventDefault()
    box().focus()
  }, true)

  // A popover that the keyboard opened gets the focus and keeps it until the next key, even if it is drawn again.
  // Streamlit places popovers last in the order of Tab.
  let entering = 0
  const enter = left => {
    const body = document.querySelector('[data-testid="stPopoverBody"]')
    const first = body?.querySelector('input, textarea, [data-testid="stCode"], button:not([aria-label^="Help"])')
    first?.focus()
    if (left) entering = setTimeout(enter, 50, left - 1)
  }
  const release = event => {
    clearTimeout(entering)
    if (!event.key || !typing()) clearTimeout(window.zooterHeld)
  }
  const hands = ['wheel', 'touchmove', 'pointerdown', 'keydown']
  hands.forEach(kind => document.addEventListener(kind, release, { capture: true, passive: true }))
  document.addEventListener('click', event => {
    const opens = event.target.closest('[data-testid="stPopoverButton"][aria-expanded="false"]')
    if (opens && event.detail === 0) enter(100)
    const exam = event.target.closest('.st-key-exam [data-testid="stButton"]')?.closest('.st-key-exam')
    const tried = event.target.closest('[class*="st-key-try-"] button')?.closest('[class*="st-key-model-"]')
    const held = exam || tried || event.target.closest('[class*="st-key-strip-"]')
    if (held) show(held, 50)
    const main = document.querySelector('.stMain')
    if (event.target.closest('.st-key-earlier button')) stay(main.scrollHeight - main.scrollTop, 50)
    if (event.target.closest(':is(.st-key-primary-train, .st-key-train-again) button')) reveal(20)
    // On a phone, the list of conversations covers the page, so it closes once a conversation is chosen.
    const chosen = event.target.closest('.st-key-new button, [class*="st-key-open-"] button')
    if (!chosen || !matchMedia('(max-width: 768px)').matches) return
    document.querySelector('[data-testid="stSidebarCollapseButton"] button')?.click()
  }, true)

  // A file dropped anywhere on the page goes to the field for files: Streamlit would ignore it elsewhere.
  const files = event => event.dataTransfer?.types.includes('Files') && document.querySelector('input[type="file"]')
  document.addEventListener('dragover', event => { if (files(event)) event.preventDefault() })
  document.addEventListener('drop', event => {
    const field = files(event)
    if (!field || event.target.closest(':has(> input[type="file"])')) return
    event.preventDefault()
    field.files = event.dataTransfer.files
    field.dispatchEvent(new Event('change', { bubbles: true }))
  })

  const voice = document.body.appendChild(document.createElement('p'))
  voice.className = 'zooter-voice'
  voice.setAttribute('role', 'status')
  let grows = false
  setInterval(() => {
    // Screen readers: an answer is read aloud once it has ended; for a comparison, the headings (the models' names in
    // order) are read instead.
    const idle = document.querySelector('[data-test-script-state="notRunning"]')
    const heads = [...document.querySelectorAll('[class*="st-key-card-"] h2')].map(head => head.innerText)
    const texts = document.querySelectorAll('.stChatMessage :is([class*="st-key-ltr-"], [class*="st-key-rtl-"])')
    const words = heads.join(', ') || [...texts].at(-1)?.innerText
    if (document.querySelector('.st-key-stop')) grows = true
    else if (grows && idle && words) {
      voice.textContent = words
      grows = false
    }
    const more = '[class*="st-key-entry-"] :is([class*="st-key-pin-"], [class*="st-key-delete-"]) button'
    const hidden = '[class*="st-key-copy-"] div[tabindex="0"]'
    document.querySelectorAll(more + ', ' + hidden).forEach(part => { part.tabIndex = -1 })
    // Files in the composer are sent immediately, so that the page shows their sizes; the query is sent later.
    const chip = '[data-testid="stChatInput"] [data-testid="stFileChip"]'
    if (!document.querySelector(chip) || document.querySelector(chip + '[aria-invalid="true"]')) return
    document.querySelector('[data-testid="stChatInputSubmitButton"]:enabled')?.click()
  }, 100)
})()
